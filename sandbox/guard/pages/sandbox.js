// In JupyterLab's page: a line that says whose data this is and for how long, the display budget, the watermark; when access
// pauses or ends, what happened, why, and what next. It lies in a shadow root, so that no style of an output reaches it;
// scripts of outputs do not run (CSP). A person with developer tools can remove it all: it is courtesy.
"use strict";
(() => {
  const base = document.currentScript.src.replace(/script\.js.*$/, "");
  const css = `
    :host { all: initial !important; display: block !important; }
    * { box-sizing: border-box; font-family: "Noto Sans CJK SC", "Source Han Sans SC", "PingFang SC", "Microsoft YaHei", system-ui, sans-serif; }
    a { color: inherit; } a:focus-visible, button:focus-visible { outline: 2px solid #1f7a8c; outline-offset: 1px; }
    #top { position: fixed; top: 0; right: 8px; z-index: 9; height: 28px; max-width: calc(100vw - 430px); display: flex; gap: 14px; align-items: center;
      font-size: 12px; line-height: 28px; color: var(--jp-ui-font-color1, #37444b); white-space: nowrap; }
    #ds-line { overflow: hidden; text-overflow: ellipsis; text-decoration: none; padding: 0 6px; min-width: 0; flex: 0 1 auto; }
    #ds-line:hover, #ds-line:focus-visible { text-decoration: underline; }
    #ds-line.bad { background: #a3231d; color: #fff; font-weight: 600; } #ds-line.warn { background: #fbf1dd; color: #6d4200; }
    #ds-meter { position: fixed; bottom: 0; left: 250px; z-index: 9; height: 24px; display: flex; gap: 12px; align-items: center; white-space: nowrap;
      font-size: 12px; color: var(--jp-ui-font-color1, #37444b); } #ds-meter[hidden], #ds-banner[hidden] { display: none; }
    .part { display: flex; gap: 5px; align-items: center; } .part.nearly, .part.empty { font-weight: 600; }
    .bar { width: 46px; height: 8px; border: 1px solid currentColor; border-radius: 2px; overflow: hidden; }
    .bar i { display: block; height: 100%; background: currentColor; }
    #ds-banner { position: fixed; top: 29px; left: 0; right: 0; z-index: 99; padding: .45rem 1rem; background: #fbf1dd; color: #4a2f00;
      border-bottom: 2px solid #b87a14; font-size: 14px; line-height: 1.6; }
    #ds-banner.bad { background: #a3231d; color: #fff; border-color: #701410; } #ds-banner b { margin-right: .6em; }
    dialog { border: 0; border-top: 5px solid #a3231d; border-radius: 5px; max-width: 34rem; padding: 1.3rem 1.6rem; color: #1f2a30; background: #fff;
      font-size: 15px; line-height: 1.7; box-shadow: 0 8px 40px #0006; }
    dialog::backdrop { background: #1f2a30a0; }
    h1 { font-size: 1.2rem; margin: 0 0 .6rem; } p { margin: 0 0 .7rem; } .soft { color: #5a676e; }
    .acts { display: flex; gap: .8rem; align-items: center; margin: 1rem 0 0; }
    .acts a, .acts button { font: inherit; padding: .25rem .9rem; border: 1px solid #14505c; border-radius: 4px; background: #fff; color: #14505c; cursor: pointer; }
    .acts a { background: #14505c; color: #fff; text-decoration: none; }`;
  const put = (parent, tag, text, more = {}) => parent.appendChild(Object.assign(document.createElement(tag), { textContent: text }, more));
  const fix = (element, rules) => { for (const [name, value] of Object.entries(rules)) element.style.setProperty(name, value, "important"); };

  // What the page shows of ours. An inline style that is important goes before whatever sheet an output brings.
  const host = document.createElement("div");
  fix(host, { display: "block", visibility: "visible", opacity: "1", position: "static", filter: "none", transform: "none" });
  const root = host.attachShadow({ mode: "open" });
  put(root, "style", css);
  const top = put(root, "div", "", { id: "top" });
  const meter = put(root, "div", "", { id: "ds-meter", hidden: true });
  meter.setAttribute("role", "group");
  const line = put(top, "a", "", { id: "ds-line", target: "_blank", rel: "noopener" });
  const banner = put(root, "div", "", { id: "ds-banner", hidden: true });
  banner.setAttribute("role", "alert");
  const told = put(root, "dialog", "");
  told.setAttribute("role", "alertdialog");
  told.setAttribute("aria-labelledby", "title");
  told.setAttribute("aria-describedby", "why");

  // The watermark: a popover lies above everything but a later dialog, and takes no click.
  const mark = document.createElement("div");
  mark.setAttribute("aria-hidden", "true");
  mark.popover = "manual";
  fix(mark, { display: "block", visibility: "visible", opacity: "1", position: "fixed", inset: "0", width: "100vw", height: "100vh", margin: "0",
    padding: "0", border: "0", outline: "none", "box-shadow": "none", overflow: "hidden", "max-width": "none", "max-height": "none", "background-color": "transparent", "pointer-events": "none", "z-index": "2147483000",
    filter: "none", transform: "none", clip: "auto", "clip-path": "none", "content-visibility": "visible" });

  let last = null;      // what the server said last
  let shown = "";       // the state the dialog was opened for: closed by the person it stays closed
  let failures = 0;
  let ahead = 0;        // milliseconds of the server's clock before this machine's

  function draw() {
    if (!last || !last.mark.length) return;
    const at = new Intl.DateTimeFormat("sv-SE", { timeZone: "Asia/Shanghai", dateStyle: "short", timeStyle: "short" }).format(Date.now() + ahead);
    const safe = (text) => text.replace(/[&<>"']/g, (sign) => `&#${sign.charCodeAt(0)};`).replace(/[\u0000-\u001f]/g, " ");
    const lines = [...last.mark, `${at} UTC+8`].map((text) => safe([...text].slice(0, 40).join("")));
    const rows = lines.map((text, n) => `<text x="12" y="${120 + n * 20}">${text}</text>`).join("");
    const svg = `<svg xmlns="http://www.w3.org/2000/svg" width="380" height="230"><g transform="rotate(-20 190 115)" fill="#808080" fill-opacity=".2" font-size="15" font-family="Noto Sans CJK SC, PingFang SC, Microsoft YaHei, sans-serif">${rows}</g></svg>`;
    fix(mark, { "background-image": `url("data:image/svg+xml,${encodeURIComponent(svg)}")`, "background-repeat": "repeat" });
  }

  // Put back what is gone from the page.
  function stay() {
    if (!host.isConnected) document.body.append(host);
    if (!mark.isConnected) document.body.append(mark);
    if (mark.showPopover && !mark.matches(":popover-open")) mark.showPopover();
  }

  function mention(tone, text) {
    line.className = tone;
    line.textContent = text;
    line.title = `${text}\n${last.words.about}`;
    if (last.portal) line.href = last.portal;
  }

  function raise(tone, title, ...texts) {
    banner.hidden = !title;
    if (banner.dataset.said === [title, ...texts].join("\n")) return;
    banner.dataset.said = [title, ...texts].join("\n");
    banner.className = tone;
    banner.replaceChildren();
    if (title) put(banner, "b", title);
    put(banner, "span", texts.filter(Boolean).join(" · "));
  }

  function count(status) {
    const { parts, extended } = status.meter;
    meter.hidden = !parts.length;
    meter.setAttribute("aria-label", status.words.meter);
    meter.title = status.words.meter_about + (extended ? `\n${extended}` : "");
    meter.replaceChildren();
    put(meter, "span", status.words.meter);
    for (const part of parts) {
      const one = put(meter, "span", "", { className: `part ${part.tone}` });
      const bar = put(one, "span", "", { className: "bar" });
      bar.setAttribute("role", "meter");
      for (const [name, value] of Object.entries({ valuemin: 0, valuemax: 100, valuenow: part.percent, valuetext: part.text, label: part.text })) bar.setAttribute(`aria-${name}`, value);
      put(bar, "i", "").style.width = `${part.percent}%`;
      put(one, "span", part.text);
    }
    if (status.ask) put(meter, "a", status.words.more, { href: status.ask, target: "_blank", rel: "noopener", title: status.words.more_about });
  }

  function tell(state, title, why, rest) {
    mention("bad", title);
    meter.hidden = true;
    raise("bad", `${last.words.ended}:`, title, why);
    if (shown === state) return;
    shown = state;
    told.replaceChildren();
    put(told, "h1", title, { id: "title" });
    put(told, "p", why, { id: "why" });
    if (rest) put(told, "p", rest, { className: "soft" });
    const acts = put(told, "div", "", { className: "acts" });
    if (last.portal) put(acts, "a", last.words.link, { href: last.portal, target: "_blank", rel: "noopener" });
    put(acts, "button", last.words.close, { type: "button", onclick: () => told.close() });
    if (!told.open) told.showModal();
  }

  function take(status) {
    last = status;
    failures = 0;
    ahead = Date.parse(status.now) - Date.now();
    stay();
    draw();
    if (status.state === "live") {
      shown = "";
      if (told.open) told.close();
      raise("", "");
      mention("", status.line);
      count(status);
    } else if (status.over) {
      tell(status.state, status.words.cut, status.message, status.words.kept);
    } else {
      mention("warn", status.words.lapsed);
      raise("warn", status.words.lapsed, status.words.lapsed_next);
    }
  }

  // Returns after how many milliseconds to ask again, or null for never.
  async function ask() {
    const seen = last && !failures ? last.seen : "";
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

  stay();
  new MutationObserver(stay).observe(document.body, { childList: true });
  setInterval(() => { stay(); draw(); }, 15000);
  watch();
})();
