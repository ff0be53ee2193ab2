"use strict";
// Draws each figure from the JSON beside it when it comes near the window. Colours are tokens
// ("@top") in keys that name a colour; they stand for the CSS custom properties --c-top and so
// follow the colour scheme.
(function () {
  const root = document.documentElement;
  const config = { responsive: false, displaylogo: false, displayModeBar: false, scrollZoom: false, doubleClick: false };
  const plots = Array.from(document.querySelectorAll(".plot"));
  const drawn = new Set();

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

  function specOf(plot) {
    const spec = plot.closest("figure").querySelector("script");
    return resolve(JSON.parse(spec.textContent), getComputedStyle(root), false);
  }

  // Numbers in the cells of a heat map: whole, shorter, or only the dots, as the cells are wide.
  function fit(made, width) {
    const sizes = made.layout.meta;
    if (!sizes) return made;
    const cell = (width - sizes.left) / sizes.columns;
    const texts = made.data[1];
    if (cell < sizes.full) texts.text = texts.customdata.map((pair) => pair[cell < sizes.short ? 1 : 0]);
    return made;
  }

  function unpacked(element) {
    const packed = Uint8Array.from(atob(element.textContent), (c) => c.charCodeAt(0));
    return new TextDecoder().decode(inflate(packed, Number(element.dataset.size)));
  }

  // Plotly waits as packed text until a first figure is near: the answers need none of it.
  function plotly() {
    if (!window.Plotly) {
      const script = document.createElement("script");
      script.textContent = unpacked(document.getElementById("plotly"));
      document.head.append(script);
    }
    return window.Plotly;
  }

  function draw(plot) {
    const made = fit(specOf(plot), plot.clientWidth);
    made.layout.width = Math.floor(plot.clientWidth);
    made.layout.height = Math.floor(plot.clientHeight);
    plot.dataset.width = String(plot.clientWidth);
    drawn.add(plot);
    return plotly().react(plot, made.data, made.layout, config);
  }

  const near = new IntersectionObserver((entries) => {
    for (const entry of entries) {
      if (!entry.isIntersecting || drawn.has(entry.target)) continue;
      near.unobserve(entry.target);
      draw(entry.target);
    }
  }, { rootMargin: "150px 0px" });
  plots.forEach((plot) => near.observe(plot));

  const again = () => drawn.forEach(draw);
  let waiting = 0;
  window.addEventListener("resize", () => {
    window.clearTimeout(waiting);
    waiting = window.setTimeout(() => drawn.forEach((p) => {
      if (p.clientWidth && p.dataset.width !== String(p.clientWidth)) draw(p);
    }), 120);
  });
  window.matchMedia("(prefers-color-scheme: dark)").addEventListener("change", again);

  // Paper: light colours, everything opened and drawn, figures as wide as the sheet.
  let opened = [];
  window.addEventListener("beforeprint", () => {
    opened = Array.from(document.querySelectorAll("details:not([open])"));
    opened.forEach((details) => { details.open = true; });
    root.dataset.print = "";
    plots.forEach(draw);
  });
  window.addEventListener("afterprint", () => {
    delete root.dataset.print;
    opened.forEach((details) => { details.open = false; });
    again();
  });

  // Saving: in light colours on white, with the title and the legend that the page shows around it.
  function save(plot, format) {
    root.dataset.print = "";
    const made = specOf(plot);
    delete root.dataset.print;
    const title = plot.closest("figure").querySelector("figcaption").textContent;
    Object.assign(made.layout, {
      width: 760, height: Math.max(plot.clientHeight, 300) + 90, paper_bgcolor: "#ffffff", plot_bgcolor: "#ffffff",
      showlegend: made.data.some((trace) => trace.showlegend), title: { text: escaped(title), x: 0.02, xanchor: "left", font: { size: 15 } },
      legend: { orientation: "h", y: -0.24, yanchor: "top" }, margin: { l: 60, r: 20, t: 50, b: 60 },
    });
    const filename = title.toLowerCase().replace(/[^a-z0-9]+/g, "-").replace(/^-+|-+$/g, "").slice(0, 60) || "figure";
    return plotly().downloadImage({ data: made.data, layout: made.layout, config }, {
      format, filename, width: made.layout.width, height: made.layout.height, scale: format === "png" ? 2 : 1,
    });
  }

  const escaped = (text) => text.replace(/&/g, "&amp;").replace(/</g, "&lt;").replace(/>/g, "&gt;");

  for (const plot of plots) {
    const figure = plot.closest("figure");
    const bar = document.createElement("p");
    bar.className = "save";
    for (const format of ["svg", "png"]) {
      const button = document.createElement("button");
      button.type = "button";
      button.textContent = format.toUpperCase();
      button.setAttribute("aria-label", "Save " + figure.querySelector("figcaption").textContent + " as " + format.toUpperCase());
      button.addEventListener("click", () => save(plot, format));
      bar.append(button);
    }
    figure.append(bar);
  }
})();
