/* The storm report: adds the timeline, filters, player and keys to a page that can be read without them. */
'use strict';
(() => {
  const L = window.Lightning, { el, icon, badge, plural, percent, Piece, Points, CurveView, Player } = L;
  const $ = (q, root = document) => root.querySelector(q), $$ = (q, root = document) => [...root.querySelectorAll(q)];
  const D = JSON.parse($('#data').textContent), F = D.flashes, ZONE = D.zone;
  const byId = new Map(F.map(f => [f.id, f])), lanes = D.lanes;
  for (const lane of lanes) lane.curves = lane.pieces.map(p => new Piece(p));
  for (const f of F) { f.card = document.getElementById(f.id); f.end = f.at + f.duration; }
  const good = F.filter(f => f.state === 'confirmed'), inGrid = F.filter(f => f.state !== 'rejected'), grid = $('#grid'), states = ['confirmed', 'unverified', 'detected'];
  const count = state => F.filter(f => f.state === state).length;
  const S = { state: good.length ? 'confirmed' : states.find(count) || 'confirmed', lanes: new Set(lanes.map(l => l.name)), minp: 0, sort: 'rank', open: null, local: !!ZONE };
  const SORT = { rank: (a, b) => (a.rank || 1e9) - (b.rank || 1e9) || a.at - b.at, time: (a, b) => a.at - b.at, rise: (a, b) => b.rise - a.rise, duration: (a, b) => b.duration - a.duration };
  const smooth = () => L.reducedMotion() ? 'auto' : 'smooth';
  const PAD = innerWidth < 640 ? 34 : 104;

  /* ---- times ---- */
  const zone = () => S.local ? ZONE : null;
  const fileTime = (t, digits) => { const lane = lanes.flatMap(l => l.spans).find(s => t >= s[0] - 1e-3 && t <= s[1] + 1e-3); return L.inFile(t - (lane ? lane[2] : D.begin), digits); };
  const text = (t, digits = 0) => D.timed ? L.clock(t, zone(), digits) : fileTime(t, digits);
  const other = t => S.local ? L.clock(t, null) + ' UTC' : L.clock(t, ZONE) + ' local';
  const showTimes = () => {
    for (const n of $$('time[data-t]')) { const t = L.clock(+n.dataset.t, zone(), +n.dataset.digits); n.parentNode.matches('.t b') ? n.replaceChildren(t.slice(0, 8), el('i', { text: t.slice(8) })) : n.textContent = t; }
    for (const n of $$('time[data-other]')) n.textContent = other(+n.dataset.other);
    $('#when').textContent = S.local ? D.when.local : D.when.utc;
  };

  /* ---- timeline ---- */
  const watched = (() => {
    if (!D.watched) return null;
    const all = lanes.flatMap(l => l.spans).map(s => [s[0], s[1]]).sort((a, b) => a[0] - b[0]), made = [];
    for (const s of all) { const last = made.at(-1); if (last && s[0] <= last[1]) last[1] = Math.max(last[1], s[1]); else made.push(s); }
    return made;
  })();
  const measuredWords = { luma: 'mean brightness, 0 to 255', rise: 'rise of the brightest block, levels' };
  const hasCurves = lanes.some(l => l.curves.length);
  $('#rail').hidden = $('.filters').hidden = $('.tl-tools').hidden = false;
  const view = new CurveView($('#plot'), {
    begin: D.begin, end: D.end, pad: PAD, height: innerWidth < 640 ? 150 : 190, brush: true, watched,
    series: lanes.map(l => ({ color: '--curve' + l.color, pieces: l.curves })),
    stems: hasCurves ? [] : F.map(f => ({ t: f.at, level: f.rise, color: f.state === 'confirmed' ? '--accent' : '--edge' })),
    marks: good.map(f => f.at),
    label: (t, step) => !D.timed ? fileTime(t, step < 1 ? 1 : 0) : D.end - D.begin > 86400 && step >= 3600 ? L.dayOf(t, zone()).slice(8) + ' ' + text(t).slice(0, 5) : step >= 60 ? text(t).slice(0, 5) : text(t, step < 1 ? (step < .1 ? 2 : 1) : 0),
    base: t => D.timed ? L.offsetAt(t, zone()) : 0,
    onview: () => { placeMarks(); filter(); },
    onpick: (t, near) => { const best = shown(false).map(f => [Math.max(f.at - t, t - f.end, 0), f]).sort((a, b) => a[0] - b[0])[0]; if (best && best[0] < near) open(best[1], true); },
  });
  const rail = $('#rail'), marks = new Map();
  rail.style.setProperty('--pad', PAD + 'px');
  const rows = lanes.map(lane => {
    const track = el('div', { class: 'tr' }), recs = D.watched ? lane.spans.map(s => { const r = el('div', { class: 'rec' }); track.append(r); return [r, s]; }) : [];
    for (const f of F.filter(f => f.lane === lane.name)) {
      const m = el('button', { type: 'button', class: 'mk ' + f.state, tabindex: '-1', 'data-id': f.id }, icon(f.state), el('span', { class: 'sr' }));
      marks.set(f, m); track.append(m);
    }
    rail.append(el('div', { class: 'lane' }, el('span', { class: 'nm', title: lane.name }, el('i', { class: 'own c' + lane.color }), lane.name), track));
    return recs;
  });
  if (D.storms.length) {
    const track = el('div', { class: 'tr' });
    rows.push(D.storms.map(s => { const bar = el('div', { class: 'storm' }); track.append(bar); return [bar, s]; }));
    rail.prepend(el('div', { class: 'lane', 'aria-hidden': 'true' }, el('span', { class: 'nm' }, D.storms.length === 1 ? 'storm' : 'storms'), track));
  }
  const nameMarks = () => { for (const [f, m] of marks) m.lastChild.textContent = `${f.state} flash at ${text(f.at, 3)}, ${f.lane}`; };
  const order = [...F].sort((a, b) => a.at - b.at);
  const visibleMarks = () => order.filter(f => !marks.get(f).hidden).map(f => marks.get(f));
  let stop = null;
  const placeMarks = () => {
    const w = view.plotWidth, X = t => (t - view.view[0]) / (view.view[1] - view.view[0]) * w;
    for (const recs of rows) for (const [r, s] of recs) { r.style.left = X(s[0]) + 'px'; r.style.width = Math.max(1, X(s[1]) - X(s[0])) + 'px'; }
    for (const [f, m] of marks) { const x = X(f.at + f.peak); m.hidden = x < -4 || x > w + 4; m.style.left = x + 'px'; m.classList.toggle('sel', f === S.open); }
    const all = visibleMarks(), now = all.includes(marks.get(S.open)) ? marks.get(S.open) : all.includes(stop) ? stop : all[0];
    if (now !== stop) { if (stop) stop.tabIndex = -1; stop = now; }
    if (stop) stop.tabIndex = 0;
    $('#fit').disabled = $('#out').disabled = !view.zoomed;
  };
  new ResizeObserver(() => placeMarks()).observe(rail);
  const zoomBy = k => view.scale(k, S.open && inView(S.open) ? S.open.at : undefined);
  $('#in').onclick = () => zoomBy(.5); $('#out').onclick = () => zoomBy(2); $('#fit').onclick = () => view.whole();
  for (const b of $$('#measure button')) b.onclick = () => { for (const o of $$('#measure button')) o.setAttribute('aria-pressed', String(o === b)); view.set({ measure: b.dataset.v }); $('#measured').textContent = measuredWords[b.dataset.v] + '; hatched: not recorded'; };
  for (const n of $$('[data-zoom]')) n.onclick = () => { view.zoom(...n.dataset.zoom.split(' ').map(Number)); $('#tl').scrollIntoView({ block: 'nearest', behavior: smooth() }); };
  for (const n of $$('[data-open]')) n.onclick = e => { e.preventDefault(); open(byId.get(n.dataset.open), true); };
  const markOf = e => e.target.closest?.('.mk'), flashOf = m => byId.get(m.dataset.id);
  rail.addEventListener('click', e => { const m = markOf(e); if (m) open(flashOf(m), true); });
  rail.addEventListener('keydown', e => {
    const m = markOf(e), all = visibleMarks(), i = all.indexOf(m);
    const to = m && { ArrowRight: all[i + 1], ArrowDown: all[i + 1], ArrowLeft: all[i - 1], ArrowUp: all[i - 1], Home: all[0], End: all.at(-1) }[e.key];
    if (to) { e.preventDefault(); e.stopPropagation(); m.tabIndex = -1; to.tabIndex = 0; stop = to; to.focus(); }
  });
  const tip = $('#tip');
  const showTip = m => {
    const f = flashOf(m), r = m.getBoundingClientRect(), h = $('#tl').getBoundingClientRect();
    tip.replaceChildren(f.image ? el('img', { src: f.image, alt: '' }) : '', el('b', { text: text(f.at, 3) }), el('p', { text: f.state === 'rejected' ? f.told[0] : `${f.lane}, ${plural(f.pulses.length, 'pulse')}, ${f.duration.toFixed(2)} s` }));
    tip.hidden = false; tip.style.left = Math.max(8, Math.min(h.width - 226, r.left - h.left - 96)) + 'px'; tip.style.top = r.bottom - h.top + 6 + 'px';
  };
  rail.addEventListener('pointerover', e => { const m = markOf(e); if (m && e.pointerType !== 'touch') showTip(m); });
  rail.addEventListener('focusin', e => { if (e.target.matches('.mk:focus-visible')) showTip(e.target); });
  for (const type of ['pointerout', 'focusout']) rail.addEventListener(type, () => { tip.hidden = true; });

  /* ---- filters ---- */
  const inView = f => !view.zoomed || (f.end >= view.view[0] && f.at <= view.view[1]);
  const shown = (zoomed = true) => inGrid.filter(f => f.state === S.state && S.lanes.has(f.lane) && (f.probability == null || f.probability >= S.minp || f.state !== 'confirmed') && (!zoomed || inView(f)));
  const sorted = () => shown().sort(SORT[S.sort]);
  let list = [];
  const press = (root, key) => { for (const b of root.children) if (b.dataset.v) b.setAttribute('aria-pressed', String(b.dataset.v === key)); };
  for (const [state, word] of [['confirmed', 'Confirmed'], ['unverified', 'Unverified'], ...(count('detected') ? [['detected', 'Detected']] : [])]) $('#state').append(el('button', { type: 'button', 'data-v': state, 'aria-pressed': 'false', disabled: !count(state), onclick: () => { S.state = state; filter(); } }, word, el('b', { text: String(count(state)) })));
  $('#state').append(el('button', { type: 'button', disabled: !count('rejected'), onclick: () => { const d = $('#rejected'); d.open = true; $('summary', d).focus(); d.scrollIntoView({ block: 'start', behavior: smooth() }); } }, 'Rejected', el('b', { text: String(count('rejected')) })));
  if (lanes.length > 1) for (const l of lanes) $('#cams').append(el('button', { type: 'button', class: 'chip', 'aria-pressed': 'true', onclick: e => { S.lanes.has(l.name) ? S.lanes.delete(l.name) : S.lanes.add(l.name); e.currentTarget.setAttribute('aria-pressed', String(S.lanes.has(l.name))); filter(); } }, el('i', { class: 'own c' + l.color }), l.name));
  const setMinp = v => { S.minp = v / 100; $('#minp').value = v; $('#minpv').textContent = v + ' %'; };
  $('#minp').oninput = e => { setMinp(+e.target.value); filter(); };
  $('#sort').onchange = e => { S.sort = e.target.value; filter(); };
  const everything = () => { S.lanes = new Set(lanes.map(l => l.name)); setMinp(0); for (const b of $('#cams').children) b.setAttribute('aria-pressed', 'true'); view.whole(); };
  const empty = el('div', { class: 'empty', hidden: true });
  grid.append(empty);
  $('#inview').onclick = () => view.whole();
  const filter = () => {
    press($('#state'), S.state);
    list = sorted();
    const there = new Set(list), focused = document.activeElement?.closest?.('.card');
    if (S.open && S.open.state !== 'rejected' && !there.has(S.open)) close(false);
    for (const f of inGrid) f.card.hidden = !there.has(f);
    let before = null; // only what is out of its place moves, so that a playing clip is not torn down
    for (const f of list) { const next = before ? before.nextElementSibling : grid.firstElementChild; if (next !== f.card && !(next === detail && next?.nextElementSibling === f.card)) grid.insertBefore(f.card, next === detail ? next.nextSibling : next); before = f.card; }
    if (detail && S.open) { if (S.open.card.nextElementSibling !== detail) S.open.card.after(detail); }
    const all = list.map(f => $('.shot', f.card)), cur = S.open && there.has(S.open) ? S.open : focused && there.has(byId.get(focused.id)) ? byId.get(focused.id) : list[0];
    for (const s of all) s.tabIndex = -1;
    if (cur) $('.shot', cur.card).tabIndex = 0;
    const any = count(S.state);
    empty.hidden = !!list.length || !any;
    if (!empty.hidden) empty.replaceChildren(el('b', { text: 'No flash matches' }), view.zoomed ? 'Nothing in this part of the storm with these filters.' : 'Nothing with these filters.', el('br'), el('button', { class: 'btn', type: 'button', onclick: everything }, 'Show all ' + any));
    for (const [f, m] of marks) m.classList.toggle('off', f.state !== 'rejected' && !(f.state === S.state && S.lanes.has(f.lane)));
    $('#count').replaceChildren(el('b', { text: String(list.length) }), ` of ${any} shown`);
    $('#inview').hidden = !view.zoomed;
    $('#inview').replaceChildren(`${text(view.view[0])} to ${text(view.view[1])}`, el('span', { class: 'sr', text: ', leave the zoom' }), icon('close'));
  };

  /* ---- detail ---- */
  let detail = null, player = null;
  const curveOf = f => {
    const lane = lanes.find(l => l.name === f.lane), a = f.at + f.start, b = a + f.length, gather = measure => {
      const t = [], v = []; for (const p of lane?.curves || []) if (p.end > a && p.begin < b) p.points(a, b, measure, (x, y) => { t.push(x - f.at); v.push(y); });
      return [t, v];
    };
    const span = v => v.reduce((m, x) => Math.max(m, x), -Infinity) - v.reduce((m, x) => Math.min(m, x), Infinity);
    let [t, v] = gather('luma');
    if (t.length > 2) { const rise = gather('rise'); if (span(v) < .1 * span(rise[1])) [t, v] = rise; } else if (f.curve) [t, v] = f.curve;
    return t.length > 1 ? [{ color: '--accent', width: 1.6, pieces: [new Points(t, v)] }] : [];
  };
  const makeDetail = f => {
    const rows = [['Verdict', badge(f.state, f.state + (f.probability == null ? '' : ', ' + percent(f.probability) + ' sure'))], ['Camera', f.lane + (f.also.length ? (f.sure_same ? ', also on ' : '; at the same time on ') + byId.get(f.also[0]).lane : '')], ['Lasted', `${f.duration.toFixed(2)} s, ` + plural(f.pulses.length, 'pulse') + (f.pulses.length > 1 ? ' at ' + f.pulses.slice(0, 6).map(p => '+' + p[0].toFixed(2)).join(', ') + (f.pulses.length > 6 ? ' …' : '') + ' s' : '')], ['Strength', `+${Math.round(f.rise)} of 255 levels, ${percent(f.lit)} of the frame`], f.file ? ['In the file', `${f.file} at ${L.inFile(f.seconds, 2)}`] : null, f.quality.length ? ['Damage', f.quality.join(', ')] : null].filter(Boolean);
    const reasons = el('ul', { class: 'ev' }, f.reasons.map(r => el('li', {}, icon('confirmed'), el('span', { text: r }), el('span'))), f.state === 'unverified' ? el('li', { class: 'no' }, icon('unverified'), el('span', { text: 'Not judged: ' + f.told.join('; ') }), el('span')) : '', f.doubts.map(d => el('li', { class: 'no' }, icon('unverified'), el('span', { text: 'Doubt: ' + d.words }), el('span', { text: d.clue + ' ' + d.value.toFixed(2) }))));
    player = new Player({ clip: f.clip, still: f.still, why: f.clip_words, start: f.start, length: f.length, rate: f.rate, duration: f.duration, peak: f.peak, pulses: f.pulses, series: curveOf(f) });
    const link = (href, words) => href ? el('a', { class: 'btn', href, download: '' }, words) : '';
    return el('section', { class: 'detail', 'aria-label': `Flash at ${text(f.at, 3)}` }, player.node,
      el('div', {}, el('div', { class: 'dtop' }, el('div', {}, el('h3', { text: text(f.at, 3) }), el('p', { class: 'faint small', text: f.utc == null ? f.file || '' : S.local ? L.clock(f.utc, null, 3) + ' UTC' : L.clock(f.utc, ZONE, 3) + ' local' })), el('button', { class: 'btn icon', type: 'button', title: 'Close  Esc', onclick: () => close() }, icon('close'), el('span', { class: 'sr', text: 'Close' }))),
        el('dl', { class: 'dl' }, rows.flatMap(([a, b]) => [el('dt', { text: a }), el('dd', {}, b)])), reasons, f.model ? el('details', { class: 'saw' }, el('summary', { text: 'What the model saw' }), el('img', { src: f.model, loading: 'lazy', alt: 'The images that the model was asked about' })) : '',
        el('div', { class: 'dfoot' }, el('button', { class: 'btn', type: 'button', onclick: () => go(-1) }, icon('prev'), 'Previous'), el('button', { class: 'btn', type: 'button', onclick: () => go(1) }, 'Next', icon('next')), link(f.still, 'Still'), link(f.brightest, 'Brightest'), link(f.clip, 'Clip'))));
  };
  const address = hash => { try { history.replaceState(null, '', hash || location.pathname + location.search); } catch { /* a file may refuse it */ } };
  const drop = () => { player?.close(); detail?.remove(); player = detail = null; if (S.open?.card) { S.open.card.classList.remove('open', 'lit'); $('.shot', S.open.card)?.setAttribute('aria-expanded', 'false'); } S.open = null; };
  const open = (f, scroll) => {
    drop();
    if (f.state === 'rejected') { const d = $('#rejected'); d.open = true; S.open = f; f.card.classList.add('lit'); f.card.focus({ preventScroll: true }); f.card.scrollIntoView({ block: 'center', behavior: smooth() }); placeMarks(); address('#' + f.id); return; }
    if (!shown().includes(f)) { S.state = f.state; S.lanes.add(f.lane); [...$('#cams').children].forEach((b, i) => b.setAttribute('aria-pressed', String(S.lanes.has(lanes[i].name)))); setMinp(0); if (!inView(f)) view.view = [view.begin, view.end]; }
    S.open = f; detail = makeDetail(f); f.card.after(detail); f.card.classList.add('open'); $('.shot', f.card).setAttribute('aria-expanded', 'true');
    view.set({ spans: [{ a: f.at, b: f.end }] }); filter(); placeMarks(); address('#' + f.id);
    $('.shot', f.card).focus({ preventScroll: true });
    detail.scrollIntoView({ block: scroll ? 'center' : 'nearest', behavior: smooth() });
  };
  const close = (focus = true) => { const f = S.open; drop(); view.set({ spans: [] }); placeMarks(); address(''); if (f && focus) ($('.shot', f.card) || f.card).focus({ preventScroll: true }); };
  const go = n => { const f = list[list.indexOf(S.open) + n]; if (f) open(f); };
  grid.addEventListener('click', e => { const shot = e.target.closest('.shot'); if (!shot || e.ctrlKey || e.metaKey || e.shiftKey) return; e.preventDefault(); const f = byId.get(shot.closest('.card').id); if (S.open === f) close(); else open(f); });

  /* ---- keys ---- */
  const help = $('#help');
  addEventListener('keydown', e => {
    if (e.ctrlKey || e.metaKey || e.altKey || e.target.matches?.('select,input') || help.open) return;
    const k = e.key, shot = e.target.classList?.contains('shot');
    if (k === 'Escape') tip.hidden = true;
    if (k === '?') help.showModal();
    else if (k === 'Escape' && S.open) close();
    else if (k === ' ' && player && (shot || e.target === document.body || e.target.classList?.contains('scrub'))) player.toggle();
    else if (player && (k === ',' || k === '.')) player.step(k === ',' ? -1 : 1);
    else if (S.open && (k === 'j' || k === 'k')) go(k === 'j' ? 1 : -1);
    else if (k === '+' || k === '=') zoomBy(.5);
    else if (k === '-') zoomBy(2);
    else if (k === '0') view.whole();
    else if (shot && /^Arrow|^Home$|^End$/.test(k)) {
      const all = list.map(f => $('.shot', f.card)), i = all.indexOf(e.target), columns = getComputedStyle(grid).gridTemplateColumns.split(' ').length;
      const to = all[k === 'Home' ? 0 : k === 'End' ? all.length - 1 : i + { ArrowRight: 1, ArrowLeft: -1, ArrowDown: columns, ArrowUp: -columns }[k]];
      if (!to) return;
      e.target.tabIndex = -1; to.tabIndex = 0; to.focus({ preventScroll: true }); to.closest('.card').scrollIntoView({ block: 'nearest' });
    } else return;
    e.preventDefault();
  });
  $('#keys').hidden = false; $('#keys').onclick = () => help.showModal(); $('#helpx').onclick = () => help.close();

  /* ---- start ---- */
  if (ZONE) {
    $('#zone').hidden = false;
    for (const local of [true, false]) $('#zone').append(el('button', { type: 'button', 'aria-pressed': String(local), onclick: e => { S.local = local; for (const b of $('#zone').children) b.setAttribute('aria-pressed', String(b === e.currentTarget)); const f = S.open; showTimes(); nameMarks(); view.draw(); filter(); if (f && detail) open(f); } }, local ? 'Local' : 'UTC'));
  }
  L.themeButton($('#theme'));
  showTimes(); nameMarks(); view.draw(); placeMarks(); filter();
  const asked = byId.get(decodeURIComponent(location.hash.slice(1)));
  if (asked) open(asked, true);
  addEventListener('hashchange', () => { const f = byId.get(decodeURIComponent(location.hash.slice(1))); if (f && f !== S.open) open(f, true); });
})();
