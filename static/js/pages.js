// What pages do beyond links and forms: times that tick, filters, shortcuts, dialogs, copying, the navigation on phones.
(() => {
  "use strict";
  const root = document.documentElement;

  // --- times ---------------------------------------------------------------------------------------------------
  const relative = new Intl.RelativeTimeFormat(root.lang, { numeric: "always" });
  const LARGER = [["day", 86400], ["hour", 3600], ["minute", 60]];

  function ago(seconds) {
    for (const [unit, length] of LARGER) {
      if (seconds >= length) return relative.format(-Math.floor(seconds / length), unit);
    }
    return document.body.dataset.now;
  }

  // As kubectl prints ages; the server's `human_duration` says the same.
  function age(seconds) {
    const [minutes, hours, days] = [60, 3600, 86400].map((length) => Math.floor(seconds / length));
    const two = (large, unit, small, smaller) => (small ? `${large}${unit}${small}${smaller}` : `${large}${unit}`);
    if (seconds < 120) return `${seconds}s`;
    if (minutes < 10) return two(minutes, "m", seconds % 60, "s");
    if (minutes < 180) return `${minutes}m`;
    if (hours < 8) return two(hours, "h", minutes % 60, "m");
    if (hours < 48) return `${hours}h`;
    if (hours < 192) return two(days, "d", hours % 24, "h");
    return `${days}d`;
  }

  function clock(seconds) {
    const pad = (number) => String(number).padStart(2, "0");
    const hours = Math.floor(seconds / 3600);
    const rest = `${Math.floor((seconds % 3600) / 60)}:${pad(seconds % 60)}`;
    return hours ? `${hours}:${pad(Math.floor((seconds % 3600) / 60))}:${pad(seconds % 60)}` : rest;
  }

  const SHOWN = { relative: ago, age, elapsed: clock };

  function tick() {
    const now = Date.now();
    for (const time of document.querySelectorAll("time[data-relative], time[data-age], time[data-elapsed]")) {
      const kind = Object.keys(SHOWN).find((each) => each in time.dataset);
      const words = SHOWN[kind](Math.max(0, Math.floor((now - Date.parse(time.dateTime)) / 1000)));
      if (time.textContent !== words) time.textContent = words;
    }
  }
  setInterval(tick, 1000);

  // --- filters over the rows of a table that the page holds whole -------------------------------------------------
  function applyFilter(form) {
    const rows = document.getElementById(form.dataset.filters);
    const text = form.elements.text.value.trim().toLowerCase();
    const status = form.elements.status?.value || "";
    let shown = 0;
    for (const row of rows.children) {
      const fits = (!status || row.dataset.status === status) && row.textContent.toLowerCase().includes(text);
      row.hidden = !fits;
      if (fits) shown += 1;
    }
    const count = form.querySelector("[data-filter-count]");
    if (count) count.textContent = text || status ? `${shown} / ${rows.children.length}` : "";
  }
  for (const form of document.querySelectorAll("form[data-filters]")) {
    form.addEventListener("input", () => applyFilter(form));
    form.addEventListener("submit", (event) => event.preventDefault());
    new MutationObserver(() => applyFilter(form)).observe(document.getElementById(form.dataset.filters), { childList: true });
  }

  // --- the event table follows its end while the reader is there -----------------------------------------------------
  const follow = document.getElementById("follow");
  const events = document.getElementById("event-rows");
  if (follow && events) {
    const scroller = events.closest(".kmw-scroll");
    const toEnd = () => { if (follow.checked) scroller.scrollTop = scroller.scrollHeight; };
    scroller.addEventListener("scroll", () => {
      follow.checked = scroller.scrollHeight - scroller.scrollTop - scroller.clientHeight < 40;
    });
    follow.addEventListener("change", toEnd);
    new MutationObserver(toEnd).observe(events, { childList: true });
    toEnd();
  }

  // --- dialogs -----------------------------------------------------------------------------------------------------------
  document.addEventListener("htmx:afterSwap", (event) => {
    if (event.detail.target.id === "dialog-content") document.getElementById("dialog").showModal();
  });
  document.addEventListener("click", (event) => {
    const opener = event.target.closest("[data-opens]");
    if (opener) document.getElementById(opener.dataset.opens).showModal();
    const closer = event.target.closest("[data-closes-dialog]");
    if (closer?.closest("dialog")) {
      event.preventDefault();
      closer.closest("dialog").close();
    }
    if (event.target instanceof HTMLDialogElement) event.target.close();
  });

  // --- copying -------------------------------------------------------------------------------------------------------------
  document.addEventListener("click", async (event) => {
    const button = event.target.closest("[data-copies]");
    if (!button) return;
    await navigator.clipboard.writeText(document.getElementById(button.dataset.copies).textContent);
    const words = button.querySelector(".pf-v6-c-button__text");
    const before = words.textContent;
    words.textContent = document.body.dataset.copied;
    setTimeout(() => { words.textContent = before; }, 1500);
  });

  // --- theme, navigation, language, shortcuts --------------------------------------------------------------------------------
  document.querySelector("[data-theme-toggle]")?.addEventListener("click", () => {
    window.kubemotionTheme.keep(window.kubemotionTheme.isDark() ? "light" : "dark");
  });
  const themeChoice = document.querySelector("select[data-theme-choice]");
  if (themeChoice) {
    themeChoice.value = window.kubemotionTheme.kept();
    themeChoice.addEventListener("change", () => window.kubemotionTheme.keep(themeChoice.value));
  }
  document.querySelector("[data-toggles-navigation]")?.addEventListener("click", (event) => {
    const open = document.getElementById("sidebar").classList.toggle("pf-m-expanded");
    event.currentTarget.setAttribute("aria-expanded", String(open));
  });
  document.addEventListener("change", (event) => {
    if (event.target.matches("select[data-submits]")) event.target.form.requestSubmit();
  });
  // A kubeconfig that is chosen as a file is shown in the field, so that one sees what will be sent.
  document.querySelector("input[type=file][data-fills]")?.addEventListener("change", async (event) => {
    const [file] = event.target.files;
    if (file && file.size <= 262144) document.getElementById(event.target.dataset.fills).value = await file.text();
  });

  const GO = { d: "/", m: "/migrations/", c: "/clusters/", h: "/history/" };
  let pending = "";
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.target.closest("input, textarea, select, [contenteditable], dialog[open]")) return;
    if (pending === "g" && event.key in GO) {
      window.location.assign(GO[event.key]);
    } else if (event.key === "/") {
      const filter = document.querySelector("[data-filter], form[role=search] input:not([type=hidden])");
      if (filter) { event.preventDefault(); filter.focus(); }
    } else if (event.key === "?") {
      document.getElementById("help")?.showModal();
    }
    pending = event.key;
  });
})();
