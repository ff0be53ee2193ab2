"use strict";
// Draws every figure from the JSON beside it. Colours are tokens ("@top") in keys that name a
// colour; they stand for the CSS custom properties --c-top and so follow the colour scheme.
(function () {
  const root = document.documentElement;
  const config = { responsive: false, displaylogo: false, displayModeBar: false, scrollZoom: false, doubleClick: false };
  const plots = Array.from(document.querySelectorAll(".plot"));

  function resolve(value, styles, inColor) {
    if (typeof value === "string") {
      return inColor && value[0] === "@" ? styles.getPropertyValue("--c-" + value.slice(1)).trim() : value;
    }
    if (Array.isArray(value)) return inColor || typeof value[0] === "object" ? value.map((v) => resolve(v, styles, inColor)) : value;
    if (value === null || typeof value !== "object") return value;
    const made = {};
    for (const key of Object.keys(value)) made[key] = resolve(value[key], styles, /color/i.test(key));
    return made;
  }

  function draw(plot) {
    const spec = plot.closest("figure").querySelector("script");
    const made = resolve(JSON.parse(spec.textContent), getComputedStyle(root), false);
    made.layout.width = Math.floor(plot.clientWidth);
    made.layout.height = Math.floor(plot.clientHeight);
    plot.dataset.width = String(plot.clientWidth);
    return window.Plotly.react(plot, made.data, made.layout, config);
  }

  const drawAll = () => plots.forEach(draw);
  drawAll();

  let waiting = 0;
  window.addEventListener("resize", () => {
    window.clearTimeout(waiting);
    waiting = window.setTimeout(() => plots.filter((p) => p.dataset.width !== String(p.clientWidth)).forEach(draw), 120);
  });
  window.matchMedia("(prefers-color-scheme: dark)").addEventListener("change", drawAll);

  // Paper: light colours, everything opened, figures as wide as the sheet.
  let opened = [];
  window.addEventListener("beforeprint", () => {
    opened = Array.from(document.querySelectorAll("details:not([open])"));
    opened.forEach((details) => { details.open = true; });
    root.dataset.print = "";
    drawAll();
  });
  window.addEventListener("afterprint", () => {
    delete root.dataset.print;
    opened.forEach((details) => { details.open = false; });
    drawAll();
  });

  // Contents: beside the text where there is room, folded away where there is not.
  const wide = window.matchMedia("(min-width: 1200px)");
  const toc = document.querySelector(".toc");
  const fold = () => { toc.open = wide.matches; };
  wide.addEventListener("change", fold);
  fold();

  const links = new Map(Array.from(toc.querySelectorAll("a"), (a) => [a.hash.slice(1), a]));
  const here = new IntersectionObserver((entries) => {
    for (const entry of entries) {
      if (!entry.isIntersecting) continue;
      links.forEach((link) => link.removeAttribute("aria-current"));
      links.get(entry.target.id).setAttribute("aria-current", "true");
    }
  }, { rootMargin: "-20% 0px -70% 0px" });
  document.querySelectorAll("main > section").forEach((section) => here.observe(section));
})();
