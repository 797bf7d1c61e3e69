// What the pages gain from JavaScript; every page works without it.
"use strict";

// Charts: <figure data-chart='{"kind":"bars","labels":[…],"values":[…]}'> or kind "timeline".
function draw(figure) {
  if (!window.echarts) return;
  const data = JSON.parse(figure.dataset.chart);
  const style = getComputedStyle(document.documentElement);
  const ink = style.getPropertyValue("--ink").trim();
  const accent = style.getPropertyValue("--accent").trim();
  const text = { color: ink, fontFamily: getComputedStyle(document.body).fontFamily, fontSize: 12 };
  const chart = window.echarts.init(figure, null, { renderer: "canvas" });
  const common = { animation: false, textStyle: text, color: data.colors || [accent], tooltip: { renderMode: "richText", confine: true }, aria: { enabled: false } };
  if (data.kind === "timeline") {
    chart.setOption({
      ...common,
      grid: { left: 110, right: 24, top: 10, bottom: 28 },
      xAxis: { type: "time", axisLabel: { hideOverlap: true } },
      yAxis: { type: "category", data: data.rows, inverse: true, axisTick: { show: false } },
      tooltip: { ...common.tooltip, formatter: (p) => p.data.name },
      series: [{ type: "scatter", symbolSize: 9, data: data.points.map((p) => ({ name: p.text, value: [p.time, p.row] })) }],
    });
  } else {
    chart.setOption({
      ...common,
      grid: { left: 8, right: 40, top: 4, bottom: 4, containLabel: true },
      xAxis: { type: "value", minInterval: 1, splitLine: { show: false }, axisLabel: { show: false } },
      yAxis: { type: "category", data: data.labels, inverse: true, axisTick: { show: false }, axisLine: { show: false } },
      series: [{ type: "bar", data: data.values, barMaxWidth: 14, label: { show: true, position: "right" } }],
    });
  }
  new ResizeObserver(() => chart.resize()).observe(figure);
}

document.addEventListener("DOMContentLoaded", () => {
  document.querySelectorAll("figure[data-chart]").forEach(draw);
  // A long form asks before it is left with unsaved text.
  document.querySelectorAll("form[data-guard]").forEach((form) => {
    let dirty = false;
    form.addEventListener("input", () => { dirty = true; });
    form.addEventListener("submit", () => { dirty = false; });
    window.addEventListener("beforeunload", (event) => { if (dirty) event.preventDefault(); });
  });
  // A form is sent once.
  document.querySelectorAll("form[method=post]").forEach((form) => {
    form.addEventListener("submit", (event) => {
      if (form.dataset.sent) { event.preventDefault(); return; }
      form.dataset.sent = "1";
    });
  });
});
window.addEventListener("pageshow", (event) => {
  if (event.persisted) document.querySelectorAll("form[data-sent]").forEach((form) => { delete form.dataset.sent; });
});
