"use strict";
// Contents: beside the text where there is room, folded away where there is not.
(function () {
  const toc = document.querySelector(".toc");
  const wide = window.matchMedia("(min-width: 1200px)");
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
  document.querySelectorAll("section.opening, section.finding").forEach((section) => here.observe(section));

  // A link into folded text opens it.
  const reveal = () => {
    const target = location.hash && document.getElementById(decodeURIComponent(location.hash.slice(1)));
    for (let at = target; at; at = at.parentElement) if (at.tagName === "DETAILS") at.open = true;
  };
  window.addEventListener("hashchange", reveal);
  reveal();
})();
