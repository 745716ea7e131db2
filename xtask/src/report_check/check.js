// Finds what a reader would see as broken: text over text, a page wider than the window, empty parts.
(() => {
  const found = [];
  const say = (what, element) => {
    const text = (element?.textContent ?? "").trim().slice(0, 60);
    if (found.length < 40) found.push(text ? `${what}: "${text}"` : what);
  };
  document.querySelectorAll("details").forEach((one) => { one.open = true; });

  const root = document.documentElement;
  if (root.scrollWidth > root.clientWidth + 1) {
    say(`the page is ${root.scrollWidth} wide, the window ${root.clientWidth}`);
  }

  // The boxes of all texts, cut to what is shown of them.
  const boxes = [];
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  for (let node = walker.nextNode(); node; node = walker.nextNode()) {
    const parent = node.parentElement;
    if (!node.data.trim() || ["SCRIPT", "STYLE", "TITLE", "title"].includes(parent.tagName)) continue;
    const range = document.createRange();
    range.selectNodeContents(node);
    let clip = { left: 0, right: 1e9, top: 0, bottom: 1e9 };
    for (let up = parent; up; up = up.parentElement) {
      const style = getComputedStyle(up);
      if (style.overflowX === "visible") continue;
      const box = up.getBoundingClientRect();
      clip = { left: Math.max(clip.left, box.left), right: Math.min(clip.right, box.right), top: clip.top, bottom: clip.bottom };
    }
    for (const box of range.getClientRects()) {
      const left = Math.max(box.left, clip.left), right = Math.min(box.right, clip.right);
      if (right - left > 1 && box.height > 1) boxes.push({ left, right, top: box.top, bottom: box.bottom, parent });
    }
  }
  boxes.sort((a, b) => a.top - b.top);
  boxes.forEach((a, index) => {
    for (let other = index + 1; other < boxes.length && boxes[other].top < a.bottom; other++) {
      const b = boxes[other];
      const wide = Math.min(a.right, b.right) - Math.max(a.left, b.left);
      const high = Math.min(a.bottom, b.bottom) - Math.max(a.top, b.top);
      if (wide > 2 && high > 5 && a.parent !== b.parent) say("text over text", b.parent);
    }
  });

  const isEmpty = (element) => !element.textContent.trim() && !element.querySelector(".bar,svg");
  document.querySelectorAll("td,th,summary .name,.tag,.tile,h1,h2,h3,.card,li").forEach((one) => {
    if (isEmpty(one)) say(`an empty ${one.tagName.toLowerCase()} ${one.className}`, one.parentElement);
  });
  document.querySelectorAll("tbody").forEach((one) => { if (!one.rows.length) say("a table without rows", one.parentElement); });
  document.querySelectorAll("h2").forEach((one) => {
    const next = one.nextElementSibling?.nextElementSibling;
    if (!next || next.tagName === "H2") say("a section without anything", one);
  });
  const map = document.querySelector("svg");
  if (!map) {
    say("no drawing");
  } else {
    const all = map.getBoundingClientRect();
    map.querySelectorAll("text").forEach((one) => {
      const box = one.getBoundingClientRect();
      if (box.left < all.left - 1 || box.right > all.right + 1) say("text out of the drawing", one);
    });
  }
  document.body.innerHTML = `<pre>VERDICT${btoa(encodeURIComponent(JSON.stringify({ found, texts: boxes.length })))}END</pre>`;
})();
