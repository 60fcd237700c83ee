"use strict";
(() => {
  const cases = [...document.querySelectorAll("#case-list > details")];
  const filter = document.getElementById("filter");
  const matching = document.getElementById("matching");

  // A link to a case opens it, and what it is inside of.
  const open = () => {
    let element = document.getElementById(decodeURIComponent(location.hash.slice(1)));
    if (!element) return;
    for (let outer = element; outer; outer = outer.parentElement) {
      if (outer.tagName === "DETAILS") outer.open = true;
      outer.hidden = false;
    }
    element.scrollIntoView();
  };
  addEventListener("hashchange", open);
  if (location.hash) open();

  if (filter) {
    const texts = cases.map((each) => `${each.textContent} ${each.className}`.toLowerCase());
    filter.addEventListener("input", () => {
      const words = filter.value.toLowerCase().split(/\s+/).filter(Boolean);
      let shown = 0;
      cases.forEach((each, index) => {
        each.hidden = !words.every((word) => texts[index].includes(word));
        shown += each.hidden ? 0 : 1;
      });
      matching.textContent = words.length ? `${shown} of ${cases.length}` : "";
    });
  }

  // Paper cannot be clicked: what failed is printed open.
  let opened = [];
  addEventListener("beforeprint", () => {
    opened = [...document.querySelectorAll(".overview details, details.regression, details.rig_fault, details.error")]
      .filter((each) => !each.open);
    opened.forEach((each) => { each.open = true; });
  });
  addEventListener("afterprint", () => opened.forEach((each) => { each.open = false; }));
})();
