"use strict";
// The page is whole without this. It swaps screens in place, shows what moved, and lets "/" find the search.
(() => {
  const still = matchMedia("(prefers-reduced-motion: reduce)");
  const here = () => location.pathname + location.search;
  let asked = 0, shown = here();

  const places = () => {
    const found = new Map();
    for (const one of document.querySelectorAll(".cards [data-item]")) found.set(one.dataset.item, one.getBoundingClientRect());
    return found;
  };

  const glide = (before) => {
    if (still.matches) return;
    for (const one of document.querySelectorAll(".cards [data-item]")) {
      const was = before.get(one.dataset.item), is = one.getBoundingClientRect();
      const frames = was
        ? [{ transform: `translate(${was.left - is.left}px, ${was.top - is.top}px)` }, { transform: "none" }]
        : [{ opacity: 0, transform: "scale(.94)" }, { opacity: 1, transform: "none" }];
      one.animate(frames, { duration: 380, easing: "cubic-bezier(.2, .7, .2, 1)" });
    }
  };

  const show = (text, address) => {
    const fresh = new DOMParser().parseFromString(text, "text/html");
    const main = document.getElementById("main"), next = fresh.getElementById("main");
    if (!next) return false;
    const before = places();
    main.replaceChildren(...next.childNodes);
    document.title = fresh.title;
    if (address !== location.href) history.pushState(null, "", address);
    shown = here();
    glide(before);
    const moved = document.getElementById("moved"), note = document.querySelector(".note");
    document.getElementById("said").textContent = (note ? note.innerText : moved ? moved.textContent : document.title);
    main.focus({ preventScroll: true });
    if (note) note.scrollIntoView({ block: "nearest", behavior: still.matches ? "auto" : "smooth" });
    return true;
  };

  const swap = async (address, options, plainly) => {
    const mine = ++asked;
    document.body.setAttribute("aria-busy", "true");
    try {
      const answer = await fetch(address, { credentials: "same-origin", ...options });
      const text = await answer.text();
      if (mine === asked && !show(text, answer.url)) plainly();
    } catch {
      if (mine === asked) plainly();
    } finally {
      if (mine === asked) document.body.removeAttribute("aria-busy");
    }
  };

  addEventListener("submit", (event) => {
    const form = event.target;
    if (!form.hasAttribute("data-swap")) return;
    event.preventDefault();
    const fields = new URLSearchParams(new FormData(form, event.submitter));
    const plainly = () => { form.removeAttribute("data-swap"); form.requestSubmit(event.submitter); };
    if (form.method === "post") swap(form.action, { method: "POST", body: fields }, plainly);
    else swap(`${form.action.split("?")[0]}?${fields}`, {}, plainly);
  });

  addEventListener("click", (event) => {
    const link = event.target.closest("a[data-swap]");
    if (!link || event.button || event.metaKey || event.ctrlKey || event.shiftKey || event.altKey) return;
    event.preventDefault();
    swap(link.href, {}, () => location.assign(link.href));
  });

  // Back to another screen; a mere jump within this one needs nothing.
  addEventListener("popstate", () => { if (here() !== shown) location.reload(); });

  // A screen of something that runs is asked for again as long as somebody looks at it and types nothing into it.
  const renew = async () => {
    const lives = document.querySelector("[data-lives]");
    setTimeout(renew, 1000 * (lives ? Number(lives.dataset.lives) : 3));
    if (!lives || document.hidden || document.body.hasAttribute("aria-busy")) return;
    const address = here(), mine = asked;
    try {
      const answer = await fetch(address, { credentials: "same-origin" });
      const next = new DOMParser().parseFromString(await answer.text(), "text/html").getElementById("main");
      if (answer.ok && next && mine === asked && address === here()) {
        document.getElementById("main").replaceChildren(...next.childNodes);
      }
    } catch { /* The server is away: what was seen last stays. */ }
  };
  renew();

  addEventListener("keydown", (event) => {
    const typing = event.target.closest("input, textarea, select, [contenteditable]");
    if (event.key !== "/" || typing || event.metaKey || event.ctrlKey || event.altKey) return;
    const search = document.getElementById("search");
    if (!search) return;
    event.preventDefault();
    search.focus();
    search.select();
  });
})();
