"use strict";

// Parts that can be selected carry their key (data-key) and the keys of all that they are shown
// with (data-in). Everything is in the page already: this only marks, shows and hides.

const parts = [...document.querySelectorAll(".part")];
const about = document.getElementById("about");
const hint = about.textContent;
const panes = ["source", "graph-pane", "program"].map((name) => document.getElementById(name));

function select(part, moveFocus = false) {
  const key = part ? part.dataset.key : null;
  for (const other of parts) {
    const isNear = key !== null && other.dataset.in.split(" ").includes(key);
    other.classList.toggle("sel", isNear);
    other.classList.toggle("chosen", other === part);
    other.setAttribute(other.role === "button" ? "aria-pressed" : "aria-selected", String(other === part));
  }
  for (const edge of document.querySelectorAll(".edge")) {
    edge.classList.toggle("near", key !== null && edge.dataset.ends.split(" ").includes(key));
  }
  about.textContent = part ? describe(part) : hint;
  about.classList.toggle("shown", part !== null);
  if (part) {
    showLaunch(part);
    for (const pane of panes) {
      if (!pane.contains(part)) {
        bringIntoView(pane.querySelector(".part.sel"), pane.querySelector(".scroll"));
      }
    }
    if (moveFocus) {
      part.focus();
    }
  }
}

// Across only in the drawing: lines of text are read from their beginning.
function bringIntoView(part, pane) {
  if (!part) {
    return;
  }
  const [box, seen] = [part.getBoundingClientRect(), pane.getBoundingClientRect()];
  if (box.top < seen.top || box.bottom > seen.bottom) {
    pane.scrollTop += box.top - seen.top - (seen.height - box.height) / 2;
  }
  if (part.matches(".node") && (box.left < seen.left || box.right > seen.right)) {
    pane.scrollLeft += box.left - seen.left - (seen.width - box.width) / 2;
  }
}

function describe(part) {
  if (part.dataset.text) {
    return part.dataset.text;
  }
  const near = parts.filter((p) => p.classList.contains("sel") && p.dataset.text);
  return near.map((p) => p.dataset.text.split("\n\n")[0]).join("\n") || part.textContent.trim();
}

function showLaunch(part) {
  const keys = part.dataset.in.split(" ").filter((k) => k.startsWith("l"));
  const own = part.dataset.key;
  const shown = document.querySelector(".detail:not([hidden])");
  if (keys.length === 0 || (shown && keys.includes(shown.dataset.launch) && !keys.includes(own))) {
    return;
  }
  const wanted = keys.includes(own) ? own : first(keys);
  for (const detail of document.querySelectorAll(".detail")) {
    detail.hidden = detail.dataset.launch !== wanted;
  }
}

function first(keys) {
  return keys.sort((a, b) => Number(a.slice(1)) - Number(b.slice(1)))[0];
}

function showTab(tab) {
  const name = tab.dataset.tab;
  for (const detail of document.querySelectorAll(".detail")) {
    if (!detail.querySelector(`.tabs [data-tab="${name}"]`)) {
      continue;
    }
    for (const other of detail.querySelectorAll("[role=tab]")) {
      other.setAttribute("aria-selected", String(other.dataset.tab === name));
      other.tabIndex = other.dataset.tab === name ? 0 : -1;
    }
    for (const panel of detail.querySelectorAll("[role=tabpanel]")) {
      panel.hidden = panel.dataset.tab !== name;
    }
  }
}

function neighbour(list, from, step) {
  const wanted = list.indexOf(from) + step;
  return list[Math.max(0, Math.min(list.length - 1, wanted))];
}

// Boxes of loops and their lines in the kernel's text.

function pairOf(event) {
  return event.target.closest("[data-pair]")?.dataset.pair ?? null;
}

function markPair(pair, name) {
  for (const one of document.querySelectorAll("[data-pair]")) {
    one.classList.toggle(name, one.dataset.pair === pair);
  }
}

function choosePair(from) {
  const pair = from.dataset.pair;
  markPair(pair, "picked");
  for (const other of document.querySelectorAll(`[data-pair="${pair}"]`)) {
    const pane = other.closest(".loops, .panel");
    if (other !== from && pane) {
      pane.scrollTop += other.getBoundingClientRect().top - pane.getBoundingClientRect().top - 8;
    }
  }
}

document.addEventListener("mouseover", (event) => markPair(pairOf(event), "near"));

const STEPS = { ArrowDown: 1, ArrowRight: 1, ArrowUp: -1, ArrowLeft: -1 };

document.addEventListener("click", (event) => {
  const tab = event.target.closest("[role=tab]");
  const zoom = event.target.closest("[data-zoom]");
  const part = event.target.closest(".part");
  if (tab) {
    showTab(tab);
  } else if (zoom) {
    document.getElementById("graph").classList.toggle("fit", zoom.dataset.zoom === "fit");
  } else if (part) {
    select(part);
  } else if (pairOf(event)) {
    choosePair(event.target.closest("[data-pair]"));
  }
});

document.addEventListener("keydown", (event) => {
  const focused = event.target;
  if (event.key === "Escape") {
    select(null);
  } else if (focused.matches("[role=tab]") && event.key in STEPS) {
    const tabs = [...focused.parentElement.children];
    const next = neighbour(tabs, focused, STEPS[event.key]);
    showTab(next);
    next.focus();
    event.preventDefault();
  } else if (focused.matches(".loops") && event.key in STEPS) {
    const boxes = [...focused.querySelectorAll(".box")];
    const picked = boxes.find((b) => b.classList.contains("picked"));
    const next = picked ? neighbour(boxes, picked, STEPS[event.key]) : boxes[0];
    if (next) {
      choosePair(next);
      next.scrollIntoView({ block: "nearest" });
      event.preventDefault();
    }
  } else if (focused.matches(".part") && event.key in STEPS) {
    const pane = panes.find((p) => p.contains(focused));
    select(neighbour(parts.filter((p) => pane.contains(p)), focused, STEPS[event.key]), true);
    rove(pane);
    event.preventDefault();
  } else if (focused.matches(".part") && (event.key === "Enter" || event.key === " ")) {
    select(focused);
    event.preventDefault();
  }
});

// One stop for Tab in each pane: what was chosen there, else its first part.
function rove(pane) {
  const own = parts.filter((p) => pane.contains(p));
  const stop = own.find((p) => p.classList.contains("chosen")) ?? own[0];
  for (const part of own) {
    part.setAttribute("tabindex", part === stop ? "0" : "-1");
  }
}
panes.forEach(rove);
