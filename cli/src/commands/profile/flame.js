// In a browser: a click on a box shows it alone with what is over it, a click on the lowest box shows all again, and "search"
// asks for a part of a name and marks the functions that have it.
(() => {
  "use strict";
  const svg = document.currentScript.ownerSVGElement;
  const [left, width, letter] = ["left", "width", "letter"].map((name) => Number(svg.dataset[name]));
  const found = svg.getElementById("found");
  const frames = [...svg.querySelectorAll("g.f")].map((group) => {
    const [title, rect, text] = group.children;
    const [x, y, width] = ["x", "y", "width"].map((name) => Number(rect.getAttribute(name)));
    return { group, rect, text, name: title.textContent.split("\n")[0], x, y, width };
  });
  const fitting = (name, width) => {
    const most = Math.floor((width - 8) / letter);
    return name.length <= most ? name : most < 3 ? "" : name.slice(0, most - 1) + "…";
  };
  const show = (shown) => {
    const scale = width / shown.width;
    for (const frame of frames) {
      const isUnder = frame.y > shown.y && frame.x <= shown.x + 0.01 && frame.x + frame.width >= shown.x + shown.width - 0.01;
      const isOver = frame.y <= shown.y && frame.x >= shown.x - 0.01 && frame.x + frame.width <= shown.x + shown.width + 0.01;
      frame.group.style.display = isUnder || isOver ? "" : "none";
      frame.group.classList.toggle("outer", isUnder);
      const x = isUnder ? left : left + (frame.x - shown.x) * scale;
      const wide = isUnder ? width : frame.width * scale;
      frame.rect.setAttribute("x", x);
      frame.rect.setAttribute("width", wide);
      frame.text.setAttribute("x", x + 4);
      frame.text.textContent = fitting(frame.name, wide);
    }
  };
  const search = () => {
    const part = prompt("A part of a function's name:", "");
    if (part === null) return;
    let [end, sum] = [left, 0];
    // The lowest box is the runtime, no function.
    const hits = frames.slice(1).filter((frame) => part && frame.name.includes(part));
    frames.forEach((frame) => frame.group.classList.toggle("hit", hits.includes(frame)));
    // Of boxes over each other the widest counts.
    for (const hit of hits.sort((a, b) => a.x - b.x || b.width - a.width)) {
      if (hit.x < end - 0.01) continue;
      end = hit.x + hit.width;
      sum += hit.width;
    }
    found.textContent = part ? `${((100 * sum) / width).toFixed(1)} % in functions with “${part}”` : "";
  };
  frames.forEach((frame) => frame.group.addEventListener("click", () => show(frame)));
  const link = svg.getElementById("search");
  link.removeAttribute("display");
  link.addEventListener("click", search);
})();
