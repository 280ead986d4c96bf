// Runs before the first paint, so that a dark page never flashes white. "system" follows the operating system.
(() => {
  "use strict";
  const root = document.documentElement;
  const system = window.matchMedia("(prefers-color-scheme: dark)");
  const kept = () => {
    try { return localStorage.getItem("theme") || "system"; } catch { return "system"; }
  };
  const apply = () => {
    const theme = kept();
    const dark = theme === "dark" || (theme === "system" && system.matches);
    root.classList.toggle("pf-v6-theme-dark", dark);
  };
  root.classList.remove("no-js");
  apply();
  system.addEventListener("change", apply);
  window.addEventListener("storage", apply);
  window.kubemotionTheme = {
    kept,
    isDark: () => root.classList.contains("pf-v6-theme-dark"),
    keep(theme) {
      try { localStorage.setItem("theme", theme); } catch { /* private window: the choice lasts for this page */ }
      apply();
    },
  };
})();
