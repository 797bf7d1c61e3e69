// In JupyterLab's page: a line that says whose data this is and for how long; when access ends, what happened, why, and what next.
"use strict";
(() => {
  const base = document.currentScript.src.replace(/script\.js.*$/, "");
  const style = document.createElement("style");
  style.textContent = `
    #ds-line { position: fixed; top: 0; right: 12px; z-index: 9; height: 28px; max-width: 60vw; line-height: 28px; font-size: 12px; color: #37444b;
      overflow: hidden; white-space: nowrap; text-overflow: ellipsis; text-decoration: none; padding: 0 6px; }
    #ds-line:hover, #ds-line:focus-visible { text-decoration: underline; }
    #ds-line.bad { background: #a3231d; color: #fff; font-weight: 600; } #ds-line.warn { background: #fbf1dd; color: #8a5300; }
    #ds-told { border: 0; border-top: 5px solid #a3231d; border-radius: 5px; max-width: 34rem; padding: 1.3rem 1.6rem; color: #1f2a30;
      font: 15px/1.7 "Noto Sans CJK SC", "Source Han Sans SC", system-ui, sans-serif; box-shadow: 0 8px 40px #0006; }
    #ds-told::backdrop { background: #1f2a30a0; }
    #ds-told h1 { font-size: 1.2rem; margin: 0 0 .6rem; } #ds-told p { margin: 0 0 .7rem; } #ds-told .soft { color: #5a676e; }
    #ds-told .acts { display: flex; gap: .8rem; align-items: center; margin: 1rem 0 0; }
    #ds-told a, #ds-told button { font: inherit; padding: .25rem .9rem; border: 1px solid #14505c; border-radius: 4px; background: #fff; color: #14505c; cursor: pointer; }
    #ds-told a { background: #14505c; color: #fff; text-decoration: none; }`;
  const line = document.createElement("a");
  line.id = "ds-line";
  line.target = "_blank";
  line.rel = "noopener";
  const told = document.createElement("dialog");
  told.id = "ds-told";
  told.setAttribute("role", "alertdialog");
  told.setAttribute("aria-labelledby", "ds-title");
  told.setAttribute("aria-describedby", "ds-why");
  const put = (parent, tag, text, more = {}) => parent.appendChild(Object.assign(document.createElement(tag), { textContent: text }, more));

  let last = null;      // what the server said last
  let shown = "";       // the state the dialog was opened for: closed by the person it stays closed
  let failures = 0;

  function mark(tone, text) {
    line.className = tone;
    line.textContent = text;
    line.title = `${text}\n${last.words.about}`;
    if (last.portal) line.href = last.portal;
  }

  function tell(state, title, why, rest) {
    mark("bad", title);
    if (shown === state) return;
    shown = state;
    told.replaceChildren();
    put(told, "h1", title, { id: "ds-title" });
    put(told, "p", why, { id: "ds-why" });
    if (rest) put(told, "p", rest, { className: "soft" });
    const acts = put(told, "div", "", { className: "acts" });
    if (last.portal) put(acts, "a", last.words.link, { href: last.portal, target: "_blank", rel: "noopener" });
    put(acts, "button", last.words.close, { type: "button", onclick: () => told.close() });
    if (!told.open) told.showModal();
  }

  function take(status) {
    last = status;
    failures = 0;
    if (status.state === "live") {
      shown = "";
      if (told.open) told.close();
      mark("", status.line);
    } else if (status.over) {
      tell(status.state, status.words.cut, status.message, status.words.kept);
    } else {
      mark("warn", status.words.lapsed);
      line.title = status.message;
    }
  }

  // Returns after how many milliseconds to ask again, or null for never.
  async function ask() {
    const seen = last && !failures ? last.state : "";
    try {
      // the cookie alone is no sign-in to JupyterHub
      const headers = { "X-XSRFToken": document.cookie.match(/(?:^|; )_xsrf=([^;]*)/)?.[1] ?? "" };
      const answer = await fetch(`${base}status?seen=${encodeURIComponent(seen)}`, { headers, cache: "no-store", redirect: "manual" });
      if (answer.ok) {
        take(await answer.json());
        return last.over ? null : 0;
      }
      if (last && (answer.type === "opaqueredirect" || answer.status === 401 || answer.status === 403)) {
        tell("signed_out", last.words.signed_out, last.words.signed_out_text, "");
        return 10000;
      }
    } catch {
      // not reachable now: counted below
    }
    failures += 1;
    if (last && failures >= 3) tell("gone", last.words.gone, last.words.gone_text, last.words.kept);
    return failures < 5 ? 1000 : 10000;
  }

  async function watch() {
    const wait = await ask();
    if (wait !== null) setTimeout(watch, wait);
  }

  document.head.append(style);
  document.body.append(line, told);
  watch();
})();
