/* The page of `tune`: its curve with the thresholds, and a mark for all that was found, nearly found or cut away. */
'use strict';
(() => {
  const L = window.Lightning, { el, icon, Piece, CurveView } = L;
  const $ = (q, root = document) => root.querySelector(q), $$ = (q, root = document) => [...root.querySelectorAll(q)];
  const D = JSON.parse($('#data').textContent), PAD = innerWidth < 640 ? 34 : 104, all = D.lights;
  for (const one of all) one.node = document.getElementById(one.id);
  const smooth = () => L.reducedMotion() ? 'auto' : 'smooth';
  const S = { state: 'all', at: null };

  /* ---- curve ---- */
  const curves = D.curves.map(c => ({ ...c, series: [{ color: '--curve1', pieces: c.piece ? [new Piece(c.piece)] : [] }] }));
  const colors = { confirmed: '--shade', rejected: '--line', unverified: '--warn-soft' };
  const spans = all.flatMap(o => [...(colors[o.state] ? [{ a: o.a, b: o.b, color: colors[o.state] }] : []), ...(o.cut == null ? [] : [{ a: o.cut, b: o.cut + 1, color: '--bad-soft' }])]);
  const shape = c => ({ series: c.series, lines: c.lines, most: c.most, least: c.least, drawn: null });
  const view = new CurveView($('#plot'), {
    ...shape(curves[0]), begin: D.begin, end: D.end, pad: PAD, height: innerWidth < 640 ? 170 : 230, brush: true, minSpan: .4, spans,
    marks: all.filter(o => o.state === 'confirmed').map(o => o.a), label: (t, step) => L.inFile(t, step < 1 ? (step < .1 ? 2 : 1) : 0),
    onview: () => { placeMarks(); filter(); },
    onpick: (t, near) => { const best = all.map(o => [Math.max(o.a - t, t - o.b, 0), o]).sort((x, y) => x[0] - y[0])[0]; if (best && best[0] < near) go(best[1]); },
  });
  const show = c => { for (const b of $('#measure').children) b.setAttribute('aria-pressed', String(b.textContent === c.name)); $('#measured').textContent = c.words; view.set(shape(c)); };
  for (const c of curves) $('#measure').append(el('button', { type: 'button', 'aria-pressed': 'false', onclick: () => show(c) }, c.name));

  /* ---- marks ---- */
  const rail = $('#rail'), marks = [];
  rail.style.setProperty('--pad', PAD + 'px');
  const lane = (name, items, markOf) => {
    if (!items.length) return;
    const track = el('div', { class: 'tr' });
    for (const o of items) { const m = markOf(o); m.t = m.t ?? o.a; m.light = o; marks.push(m); track.append(m); m.onclick = () => go(o); }
    rail.append(el('div', { class: 'lane' }, el('span', { class: 'nm', title: name }, name), track));
  };
  const mark = (state, words) => el('button', { type: 'button', class: 'mk ' + state, tabindex: '-1', title: words }, icon(state), el('span', { class: 'sr', text: words }));
  lane('found', all.filter(o => o.state !== 'near'), o => mark(o.state, `${o.state} at ${L.inFile(o.a, 3)}`));
  lane('nearly found', all.filter(o => o.state === 'near'), o => mark('detected', `nearly found at ${L.inFile(o.a, 3)}`));
  lane('cut away', all.filter(o => o.cut != null), o => Object.assign(mark('minus', `light cut away from ${L.inFile(o.cut, 3)} on`), { t: o.cut }));
  const placeMarks = () => {
    const w = view.plotWidth; let stop = null;
    for (const m of marks) {
      const x = (m.t - view.view[0]) / (view.view[1] - view.view[0]) * w;
      m.hidden = x < -4 || x > w + 4; m.style.left = x + 'px'; m.tabIndex = -1; m.classList.toggle('sel', m.light === S.at);
      if (!m.hidden && (!stop || m.light === S.at)) stop = m;
    }
    if (stop) stop.tabIndex = 0;
    $('#fit').disabled = $('#out').disabled = !view.zoomed;
  };
  rail.addEventListener('keydown', e => {
    const seen = marks.filter(m => !m.hidden).sort((x, y) => x.t - y.t), i = seen.indexOf(e.target);
    const to = i >= 0 && { ArrowRight: seen[i + 1], ArrowLeft: seen[i - 1], Home: seen[0], End: seen.at(-1) }[e.key];
    if (to) { e.preventDefault(); e.stopPropagation(); e.target.tabIndex = -1; to.tabIndex = 0; to.focus(); }
  });
  new ResizeObserver(placeMarks).observe(rail);
  rail.hidden = !marks.length; $('.tl-tools').hidden = false;

  /* ---- lights ---- */
  const inView = o => !view.zoomed || (Math.max(o.b, o.cut ?? o.b) >= view.view[0] && o.a <= view.view[1]);
  let list = all;
  const filter = () => {
    list = all.filter(o => (S.state === 'all' || o.state === S.state) && inView(o));
    for (const o of all) o.node.hidden = !list.includes(o);
    for (const b of $('#state').children) b.setAttribute('aria-pressed', String(b.dataset.v === S.state));
    $('#count').replaceChildren(el('b', { text: String(list.length) }), ` of ${all.length} shown`);
    $('#inview').hidden = !view.zoomed;
    $('#inview').replaceChildren(`${L.inFile(view.view[0], 1)} to ${L.inFile(view.view[1], 1)}`, el('span', { class: 'sr', text: ', leave the zoom' }), icon('close'));
  };
  const count = state => all.filter(o => state === 'all' || o.state === state).length;
  for (const [state, words] of [['all', 'All'], ['confirmed', 'Confirmed'], ['unverified', 'Unverified'], ['rejected', 'Rejected'], ['near', 'Nearly found']]) $('#state').append(el('button', { type: 'button', 'data-v': state, 'aria-pressed': 'false', disabled: !count(state), onclick: () => { S.state = state; filter(); } }, words, el('b', { text: String(count(state)) })));
  $('.filters').hidden = !all.length; $('#inview').onclick = () => view.whole();
  const go = o => {
    if (S.at) S.at.node.classList.remove('sel');
    S.at = o; if (S.state !== 'all' && S.state !== o.state) S.state = 'all';
    if (!inView(o)) view.whole();
    filter(); placeMarks(); o.node.classList.add('sel'); o.node.focus({ preventScroll: true }); o.node.scrollIntoView({ block: 'center', behavior: smooth() });
  };
  const look = o => { go(o); view.zoom(o.a - 2, Math.max(o.b, o.cut ?? o.b) + 2); $('#tl').scrollIntoView({ block: 'nearest', behavior: smooth() }); };
  for (const o of all) { const b = $('.look', o.node); b.hidden = false; b.onclick = () => look(o); }

  /* ---- keys ---- */
  const help = $('#help');
  $('#in').onclick = () => view.scale(.5, S.at?.a); $('#out').onclick = () => view.scale(2, S.at?.a); $('#fit').onclick = () => view.whole();
  addEventListener('keydown', e => {
    if (e.ctrlKey || e.metaKey || e.altKey || help.open || e.target.matches?.('input,select')) return;
    const k = e.key, i = list.indexOf(S.at);
    if (k === '?') help.showModal();
    else if (k === 'j' || k === 'k') { const to = k === 'j' ? list[i + 1] : list[Math.max(0, i - 1)]; if (to) go(to); }
    else if (k === '+' || k === '=') $('#in').click();
    else if (k === '-') $('#out').click();
    else if (k === '0') view.whole();
    else return;
    e.preventDefault();
  });
  $('#keys').hidden = false; $('#keys').onclick = () => help.showModal(); $('#helpx').onclick = () => help.close();

  L.themeButton($('#theme'));
  show(curves[0]); placeMarks(); filter();
  const asked = all.find(o => '#' + o.id === location.hash);
  if (asked) go(asked);
})();
