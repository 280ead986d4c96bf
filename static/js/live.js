// Live pages: fragments that come over the WebSocket replace or join what the page shows.
(() => {
  "use strict";

  // hx-swap-oob="upsert:#rows": each child replaces the element with its id, or takes its place by data-order.
  // An unchanged child is left alone, so that focus, selection and screen readers are not disturbed.
  htmx.defineExtension("upsert", {
    isInlineSwap: () => false,
    handleSwap(style, target, fragment) {
      if (style !== "upsert") return false;
      const added = [];
      for (const fresh of [...(fragment.content || fragment).children]) {
        const present = document.getElementById(fresh.id);
        if (present) {
          if (target.dataset.replaces === "no" || present.isEqualNode(fresh)) continue;
          for (const open of present.querySelectorAll("details[open][id]")) {
            fresh.querySelector(`#${CSS.escape(open.id)}`)?.setAttribute("open", "");
          }
          present.replaceWith(fresh);
        } else if (target.dataset.insert !== "none") {
          target.insertBefore(fresh, placeFor(target, fresh));
        } else {
          continue;
        }
        added.push(fresh);
      }
      return added;
    },
  });

  // The child before which `fresh` belongs; null for the end. Rows mostly come in order, so begin there.
  function placeFor(target, fresh) {
    if (target.dataset.insert === "first") return target.firstElementChild;
    const order = Number(fresh.dataset.order);
    let place = null;
    for (let row = target.lastElementChild; row; row = row.previousElementSibling) {
      if (!(Number(row.dataset.order) > order)) break;
      place = row;
    }
    return place;
  }

  // --- what the page fetches itself, because there is too much of it to be pushed ------------------------------------
  const FETCH_MS = 2000;
  const shownNow = () => document.getElementById("migration-totals")?.dataset;
  let fetched = shownNow()?.moved;

  function fetchWhatMoved() {
    const totals = shownNow();
    const card = document.getElementById("resources");
    if (document.hidden || !totals || !card || totals.moved === fetched) return;
    fetched = totals.moved;
    if (card.dataset.shown === "kinds") {
      for (const part of card.querySelectorAll("[data-fetches]")) {
        if (part.checkVisibility()) htmx.trigger(part, part.dataset.fetches);
      }
    } else if (Number(totals.resources) > Number(card.dataset.most)) {
      htmx.trigger(card, "fetch-card");
    }
  }
  if (shownNow()) setInterval(fetchWhatMoved, FETCH_MS);

  // --- the event table does not grow for ever ------------------------------------------------------------------------
  const MOST_EVENTS = 1000;
  const eventRows = document.getElementById("event-rows");
  function forgetEarliest() {
    const surplus = eventRows.children.length - MOST_EVENTS;
    if (surplus <= 0) return;
    for (const row of [...eventRows.children].slice(0, surplus)) row.remove();
    document.getElementById("earlier-events").hidden = false;
  }
  if (eventRows) new MutationObserver(forgetEarliest).observe(eventRows, { childList: true });

  // The number of the last event that the page shows.
  function lastEvent() {
    const rows = document.getElementById("event-rows");
    const last = rows?.querySelector("tr[data-order]:last-of-type");
    return Number(last?.dataset.order || rows?.dataset.after || 0);
  }

  const SAY_AGAIN_MS = 15000;
  let socket = null;
  let timer = null;

  // Said on every opening, and again now and then: should a message have been lost on its way, this brings it.
  function sayWhatWasSeen() {
    socket?.send(JSON.stringify({ after: lastEvent() }));
  }

  function badge(state) {
    const shown = document.getElementById("connection");
    if (shown) shown.dataset.state = state;
  }

  document.addEventListener("htmx:wsConnecting", () => badge("connecting"));
  document.addEventListener("htmx:wsOpen", (event) => {
    socket = event.detail.socketWrapper;
    badge("connected");
    sayWhatWasSeen();
    clearInterval(timer);
    timer = setInterval(sayWhatWasSeen, SAY_AGAIN_MS);
  });
  // Whatever on a page depends on many migrations (counts) is fetched again once it has been quiet for a moment.
  document.addEventListener("htmx:wsAfterMessage", () => htmx.trigger(document.body, "migrations-moved"));
  document.addEventListener("htmx:wsClose", (event) => {
    clearInterval(timer);
    socket = null;
    const { code } = event.detail.event;
    // Codes of our own (44xx) are final: signed out, or not to be seen any more.
    badge(code >= 4400 ? "refused" : "connecting");
    // The extension comes back by itself after these; after others, such as a server that stops in order, we ask for it.
    if (code < 4400 && ![1006, 1011, 1012, 1013].includes(code)) {
      setTimeout(() => event.detail.socketWrapper.reconnect(), 500 + 1500 * Math.random());
    }
  });
})();
