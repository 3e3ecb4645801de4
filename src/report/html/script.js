"use strict";
// Search and pages for the table of rows; without this, it is there in full.
(() => {
  const table = document.getElementById("sample");
  if (!table) return;
  const perPage = 10;
  const rows = Array.from(table.tBodies[0].rows);
  const texts = rows.map((row) => row.textContent.toLowerCase());
  const find = document.getElementById("find");
  const back = document.getElementById("back");
  const next = document.getElementById("next");
  const at = document.getElementById("at");
  let page = 0;
  const show = () => {
    const words = find.value.toLowerCase().split(/\s+/).filter(Boolean);
    const found = rows.filter((_, i) => words.every((word) => texts[i].includes(word)));
    const pages = Math.max(1, Math.ceil(found.length / perPage));
    page = Math.min(Math.max(page, 0), pages - 1);
    const visible = new Set(found.slice(page * perPage, (page + 1) * perPage));
    rows.forEach((row) => { row.hidden = !visible.has(row); });
    back.disabled = page === 0;
    next.disabled = page === pages - 1;
    at.textContent = found.length === 0 ? "nothing found" :
      `${page * perPage + 1} to ${page * perPage + visible.size} of ${found.length}`;
  };
  find.addEventListener("input", () => { page = 0; show(); });
  back.addEventListener("click", () => { page -= 1; show(); });
  next.addEventListener("click", () => { page += 1; show(); });
  document.querySelector(".tools").hidden = false;
  show();
})();
