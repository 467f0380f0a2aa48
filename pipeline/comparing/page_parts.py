"""How the page of a comparison looks, and what its table does when a heading is pressed."""

STYLE = """
:root{color-scheme:light dark;--ground:#fff;--ink:#22303c;--quiet:#66727d;--line:#e2e6ea;--band:#f6f8f9;
--accent:#2f6fb0;--warn:#a5540f;--warnground:#fdf3e7}
@media(prefers-color-scheme:dark){:root{--ground:#14191e;--ink:#dde4ea;--quiet:#95a1ac;--line:#2e373f;
--band:#1b2228;--accent:#76aee4;--warn:#f0b070;--warnground:#33271a}}
*{box-sizing:border-box}
body{margin:0;background:var(--ground);color:var(--ink);font:15px/1.5 system-ui,sans-serif}
main{max-width:1240px;margin:0 auto;padding:28px 20px 60px}
h1{font-size:24px;margin:0}h2{font-size:17px;margin:26px 0 6px}
ul{margin:0;padding-left:20px}li{margin:3px 0}
.quiet,small,dd small{color:var(--quiet)}p.quiet{margin:4px 0}
.warning{background:var(--warnground);color:var(--warn);padding:8px 12px;border-radius:6px}
.wide{overflow-x:auto;margin-top:18px}
table{border-collapse:collapse;width:100%;font-variant-numeric:tabular-nums}
th{text-align:left;border-bottom:2px solid var(--line);white-space:nowrap}
th button{all:unset;cursor:pointer;padding:6px 10px 6px 0;font-weight:600}
th button:hover,th button:focus-visible{color:var(--accent)}
th.sorted button::after{content:" \\25BE";color:var(--accent)}
th.sorted.up button::after{content:" \\25B4"}
td{padding:5px 10px 5px 0;border-bottom:1px solid var(--line);white-space:nowrap}
td.number,th.number{text-align:right;padding-right:16px}
tbody tr:hover{background:var(--band)}
td:first-child{font-family:ui-monospace,monospace;font-size:13px}
details{margin-top:14px}summary{cursor:pointer;color:var(--quiet)}
dt{font-family:ui-monospace,monospace;margin-top:8px}dd{margin:0 0 0 16px;overflow-wrap:anywhere}
.figures{display:grid;grid-template-columns:repeat(auto-fit,minmax(min(100%,520px),1fr));gap:18px;margin-top:24px;
align-items:start}
figure{margin:0;border:1px solid var(--line);border-radius:8px;padding:10px}
figure svg{width:100%;height:auto;display:block}
svg text{fill:currentColor}
pre{background:var(--band);padding:6px 10px;border-radius:6px;margin:2px 0 8px;overflow-x:auto}
"""

SCRIPT = """
const table = document.getElementById('runs'), body = table.tBodies[0];
const key = (row, place) => {
  const cell = row.cells[place];
  if (cell.dataset.rank === undefined) return cell.textContent;
  return cell.dataset.rank === '' ? null : Number(cell.dataset.rank);
};
[...table.tHead.rows[0].cells].forEach((head, place) => head.addEventListener('click', () => {
  const up = head.classList.contains('sorted') && !head.classList.contains('up');
  [...table.tHead.rows[0].cells].forEach(other => other.classList.remove('sorted', 'up'));
  head.classList.add('sorted');
  head.classList.toggle('up', up);
  const order = (a, b) => typeof a === 'number' ? a - b : String(a).localeCompare(String(b));
  const rows = [...body.rows].map(row => [key(row, place), row]);
  const last = (a, b) => (a === null) - (b === null);  // whatever the order, nothing comes after something
  rows.sort(([a], [b]) => last(a, b) || (a === null ? 0 : (up ? 1 : -1) * order(a, b)));
  body.append(...rows.map(([, row]) => row));
}));
"""
