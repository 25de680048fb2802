/* The live page: state and flashes as they come (server-sent events), drawn without moving what is being read. */
'use strict';
(() => {
  const L = window.Lightning, { el, svg, icon, badge, plural, percent, Points, Player } = L;
  const $ = (query, inside = document) => inside.querySelector(query);
  const ROWS = 50, SAME_SECONDS = .5, LOST_AFTER = 3;
  const ROOT = document.documentElement.dataset;
  const S = { flashes: new Map(), shown: new Set(), levels: new Map(), state: null, at: 0, lost: null, open: null, local: true, strongest: false, player: null, hits: new Map() };

  /* times */
  const now = () => Date.now() / 1e3 + (S.state ? S.skew : 0);
  const formats = new Map();
  const format = (zone, ms) => {
    const key = zone + ms;
    if (!formats.has(key)) formats.set(key, new Intl.DateTimeFormat('en-GB', { timeZone: zone, hour: '2-digit', minute: '2-digit', second: '2-digit', ...(ms ? { fractionalSecondDigits: 3 } : {}) }));
    return formats.get(key);
  };
  const zone = () => S.local ? ROOT.zone : 'UTC';
  const clock = (t, ms = false, z = zone()) => format(z, ms).format(new Date(t * 1000));
  const hm = t => clock(t).slice(0, 5);
  const ago = s => s < 60 ? Math.max(0, Math.floor(s)) + ' s' : s < 600 ? Math.floor(s / 60) + ' min ' + Math.floor(s % 60) + ' s' : s < 3600 ? Math.floor(s / 60) + ' min' : s < 172800 ? Math.floor(s / 3600) + ' h ' + Math.floor(s % 3600 / 60) + ' min' : Math.floor(s / 86400) + ' days';
  const brief = s => (s < 100 ? Math.max(0, Math.floor(s)) + ' s' : s < 5400 ? Math.floor(s / 60) + ' min' : s < 172800 ? Math.floor(s / 3600) + ' h' : Math.floor(s / 86400) + ' days') + ' ago';

  /* shapes: state is never colour alone */
  const DOT = 'M6 1a5 5 0 1 0 0 10A5 5 0 0 0 6 1Z', TRIANGLE = 'M6 .6 11.8 11H.2Z', SQUARE = 'M1.5 1.5h9v9h-9Z', HALF = 'M6 1a5 5 0 1 0 0 10Z';
  const SHAPES = { ok: DOT, live: DOT, warn: TRIANGLE, stalled: TRIANGLE, connecting: HALF, bad: SQUARE, down: SQUARE };
  const shape = name => svg('svg', { viewBox: '0 0 12 12', 'aria-hidden': 'true' }, svg('path', { d: SHAPES[name] || DOT, fill: 'currentColor' }));
  const line = (values, w, h) => { const lo = Math.min(...values), hi = Math.max(...values, lo + 12); return 'M' + values.map((v, i) => `${(i / Math.max(1, values.length - 1) * w).toFixed(1)} ${(h - 1 - (v - lo) / (hi - lo) * (h - 2)).toFixed(1)}`).join('L'); };
  const bars = (node, values, w, h, hot = 0) => {
    const hi = Math.max(4, ...values), step = w / values.length;
    node.replaceChildren(svg('line', { x1: 0, x2: w, y1: h - .5, y2: h - .5 }), ...values.map((v, i) => v ? svg('rect', { x: i * step + step * .12, width: step * .76, y: h - v / hi * (h - 2), height: v / hi * (h - 2), rx: 1, class: i >= values.length - hot ? 'hot' : '' }) : ''));
  };
  const image = (src, alt, none) => { const node = el('img', { src, alt, loading: 'lazy', width: 320, height: 180 }); node.addEventListener('error', () => node.replaceWith(el('span', { class: 'none', text: none }))); return node; };

  /* what is known of the contact: to this page's server, and from there to the feeds */
  const away = () => S.state ? S.state.sites.filter(s => s.away && !s.relayed) : [];
  const blind = () => S.lost != null || (S.state && S.state.sites.length > 0 && away().length === S.state.sites.length);
  const asOf = () => S.lost ?? Math.max(0, ...away().map(s => s.heard || 0));
  const lostSite = name => S.lost != null || away().some(s => s.name === name);

  const drawStorm = () => {
    const st = S.state; if (!st) return;
    const { on, since, last, quiet_seconds: hush } = st.storm, t = now(), box = $('#storm');
    const quiet = on && last != null && t - last > hush, storm = on && !quiet;
    box.classList.toggle('on', storm);
    const began = Math.min(...st.sites.map(s => s.started || Infinity));
    $('#sk').textContent = blind() ? asOf() ? 'As of ' + clock(asOf()) : 'No contact' : 'Right now';
    $('#sv').replaceChildren(...(storm ? [icon('confirmed'), 'Storm'] : ['Quiet']));
    $('#sw').textContent = storm ? `since ${hm(since)}, ${ago(t - since)}` : quiet ? 'since ' + hm(last + hush) : since ? 'since ' + hm(since) : isFinite(began) ? 'since the start at ' + hm(began) : 'no site is heard yet';
    $('#lv').replaceChildren(...(last != null ? [ago(t - last), el('small', { text: 'ago' })] : ['None', el('small', { text: 'so far' })]));
    const newest = last == null ? null : [...S.flashes.values()].find(f => Math.abs(f.at - last) < .01 && f.flash.state === 'confirmed');
    $('#lw').textContent = last == null ? isFinite(began) ? 'watching for ' + ago(t - began) : '' : storm ? `quiet from ${hm(last + hush)} if no more comes` : (newest ? newest.flash.camera + ' ' : '') + 'at ' + clock(last);
    $('#rv').replaceChildren(String(st.ten_minutes), el('small', { text: st.ten_minutes === 1 ? 'flash' : 'flashes' }));
    $('#rw').textContent = st.ten_before ? st.ten_before + ' in the ten before' : 'none in the ten before';
    const name = ROOT.title || st.sites.map(s => s.name).join(', ') || 'Lightning detector';
    $('#title').textContent = name;
    document.title = (storm ? `Storm, ${st.ten_minutes} in 10 min` : 'Quiet') + ' - ' + name;
  };
  const drawBars = () => { const st = S.state; if (!st) return; bars($('#minutes'), st.minutes, 600, 56, 10); bars($('#hours'), st.quarters, 340, 90); $('#hoursw').textContent = st.quarters.some(Boolean) ? 'a quarter of an hour each' : 'nothing in the last 6 hours'; };

  const drawTroubles = () => {
    const st = S.state, t = now(), found = [];
    if (S.lost != null) found.push(['bad', 'Page lost, reconnecting. ', 'What you see is as of ' + clock(S.lost) + '. Whether the cameras are being watched is not known.', S.lost]);
    for (const s of S.lost == null ? away() : []) found.push(['bad', s.heard ? `Feed of ${s.name} lost, reconnecting. ` : `No feed at ${s.name} yet. `, s.heard ? 'What you see is as of ' + clock(s.heard) + '. Whether its cameras are being watched is not known.' : s.marks.feed.text, s.heard]);
    if (st && S.lost == null) {
      for (const c of st.cameras) {
        if (lostSite(c.site)) continue;
        if (c.mark === 'bad') found.push([c.state === 'stalled' ? 'warn' : 'bad', `${c.name} ${c.state === 'stalled' ? 'has stalled' : c.state === 'live' ? 'sends nothing' : c.state === 'connecting' ? 'does not answer' : 'is down'}. `, c.text, c.since]);
        else if (c.clock_problem) found.push(['warn', `${c.name}: `, c.clock_problem, null]);
      }
      for (const s of st.sites) if (!s.away) {
        const where = st.sites.length > 1 ? ` (${s.name})` : '';
        if (s.marks.journal.mark === 'bad') found.push(['bad', 'Events are not on disk' + where + '. ', 'They are kept in memory and follow once there is room.', null]);
        if (s.marks.disk.mark === 'bad') found.push(['bad', 'The disk is nearly full' + where + '. ', s.marks.disk.text, null]);
        if (s.marks.verifier.mark !== 'ok') found.push(['warn', 'The verifier falls behind' + where + '. ', s.marks.verifier.text, null]);
        if (s.system.state === 'reload_refused') found.push(['warn', 'The settings were not read again' + where + '. ', s.system.detail || '', null]);
      }
    }
    found.sort((a, b) => (a[0] === 'warn') - (b[0] === 'warn'));
    const key = JSON.stringify(found.map(one => one.slice(0, 3)));
    if (key !== S.troubles) { // rewritten only on a change: a screen reader says it again otherwise
      S.troubles = key;
      $('#troubles').replaceChildren(...found.map(([mark, bold, text, since]) => el('div', { class: 'trouble ' + mark }, shape(mark), el('div', {}, el('b', { text: bold }), el('span', { text })), since ? el('time', { 'data-for': String(since) }) : '')));
    }
    for (const node of document.querySelectorAll('[data-for]')) node.textContent = 'for ' + ago(t - node.dataset.for);
    const f = $('#feed'), bad = blind(); f.className = 'feed' + (bad ? ' lost' : '');
    const numbers = st ? st.sites.map(s => s.sequence.toLocaleString('en')).join(' and ') : '';
    const words = bad ? 'Reconnecting' : st ? 'Live' : 'Connecting';
    f.replaceChildren(shape(bad ? 'bad' : st ? 'ok' : 'connecting'), words, el('span', { class: 'faint', text: bad || !st ? '' : 'up to event ' + numbers }));
    document.body.classList.toggle('stale', bad);
  };

  const drawCams = () => {
    const st = S.state; if (!st) return;
    const t = now(), host = $('#cams'), many = st.sites.filter(s => !s.relayed).length > 1;
    const live = st.cameras.filter(c => c.mark === 'ok').length;
    $('#camn').textContent = blind() ? 'state not known' : st.cameras.length ? `${live} of ${st.cameras.length} live` : 'none yet';
    const cards = st.cameras.map(c => {
      const key = c.site + ' ' + c.name, lost = lostSite(c.site), off = c.state !== 'live';
      if (c.levels) S.levels.set(key, c.levels);
      const v = S.levels.get(key) || [], age = c.last_frame_age_seconds;
      const flat = c.state === 'down' || c.state === 'connecting' || v.length < 2;
      const curve = svg('svg', { class: 'spark' + (flat ? ' off' : ''), viewBox: '0 0 240 24', preserveAspectRatio: 'none', role: 'img', 'aria-label': 'Brightness in the last minute' }, svg('path', { d: flat ? 'M0 23H240' : line(v, 240, 24) }));
      const row = (k, value, cls, opt) => el('div', opt ? { class: 'opt' } : {}, el('dt', { text: k }), el('dd', { class: cls || null, text: value }));
      const bad = off && c.state !== 'connecting' ? 'bad' : '';
      const frame = age == null ? 'none yet' : age < 10 ? Math.round(age * 1000) + ' ms' : ago(age);
      const clockWords = !c.clock || c.clock === 'none' ? 'unknown' : c.clock + (c.clock_bound_ms == null ? '' : ` \u00b1${c.clock_bound_ms} ms`);
      return el('article', { class: `cam panel ${c.state}${S.hits.get(key) > Date.now() ? ' hit' : ''}`, 'data-c': key, 'aria-label': `${c.name}, ${lost ? 'state not known' : c.state}` },
        el('div', { class: 'pic' }, c.snapshot ? image(c.snapshot, 'Latest image of ' + c.name, 'no image') : el('span', { class: 'none', text: c.state === 'connecting' ? '' : 'no image is kept' }),
          el('span', { class: 'tag tl_ ' + c.state }, shape(lost ? 'ok' : c.mark === 'bad' && c.state === 'live' ? 'stalled' : c.state), lost ? 'was ' + c.state : c.state === 'live' || !c.since ? c.state : `${c.state} for ${ago(t - c.since)}`),
          c.snapshot_time && !off && !lost ? el('span', { class: 'tag tr_', 'data-image': String(c.snapshot_time), text: `image ${ago(t - c.snapshot_time)} old` }) : '',
          !lost && (c.state === 'down' || c.state === 'stalled') ? el('p', { class: 'say', text: c.text }) : ''),
        el('div', { class: 'b' }, el('div', { class: 'n' }, el('h3', { text: (many ? c.site + ' ' : '') + c.name }), el('span', { text: plural(c.flashes_10_minutes, 'flash', 'flashes') + ' in 10 min' })), curve,
          el('dl', {}, row('Rate', off ? 'none' : (c.fps || 0).toFixed(1) + ' fps', bad), row('Last frame', frame, bad || (age > 5 ? 'bad' : '')), row('Clock', clockWords, c.clock === 'arrival' ? 'warn' : ''), c.skipped ? row('Skipped', plural(c.skipped, 'frame'), 'warn') : row('Reconnects', String(c.reconnects ?? 0), c.reconnects > 3 ? 'warn' : '', true)),
          c.snapshot ? el('p', { class: 'small opt' }, el('a', { href: `/mask?site=${encodeURIComponent(c.site)}&camera=${encodeURIComponent(c.name)}`, text: 'Draw a mask' }, el('span', { class: 'sr', text: ' for ' + c.name }))) : ''));
    });
    // An image that is there already stays until the new one has come: no flicker, and focus stays where it is.
    const focus = document.activeElement?.closest?.('.cam')?.dataset.c;
    for (const card of cards) { const was = host.querySelector(`[data-c="${CSS.escape(card.dataset.c)}"] .pic img`), img = $('.pic img', card); if (was && img && was.getAttribute('src') === img.getAttribute('src')) img.replaceWith(was); }
    host.replaceChildren(...cards);
    if (focus) host.querySelector(`[data-c="${CSS.escape(focus)}"] a`)?.focus({ preventScroll: true });
  };

  const drawSide = () => {
    const st = S.state; if (!st) return;
    const rows = [], several = st.sites.length > 1, names = { journal: 'Journal', disk: 'Disk', verifier: 'Verifier' };
    for (const s of st.sites) if (!s.relayed) for (const [key, name] of Object.entries(names)) { const m = s.marks[key]; rows.push([S.lost != null ? 'warn' : m.mark, several ? `${s.name}: ${name}` : name, S.lost != null ? 'not known' : m.text]); }
    rows.push(S.lost != null ? ['bad', 'Page', 'no contact for ' + ago(Date.now() / 1e3 - S.lostAt)] : ['ok', 'Page', 'up to date']);
    $('#health').replaceChildren(...rows.map(([mark, name, text]) => el('li', { class: mark }, shape(mark), el('span', { text: name }), el('b', { text }))));
  };

  /* flashes */
  const ordered = () => [...S.flashes.values()].sort((a, b) => b.at - a.at || (a.flash.id < b.flash.id ? 1 : -1));
  const groups = () => {
    const taken = new Set(), list = [], all = ordered().filter(f => S.shown.has(f.flash.id));
    if (S.strongest) all.sort((a, b) => (b.flash.state === 'confirmed') - (a.flash.state === 'confirmed') || (b.flash.rank ?? 0) - (a.flash.rank ?? 0));
    for (const f of all) {
      if (taken.has(f)) continue;
      const same = f.flash.state !== 'confirmed' ? [] : all.filter(g => g !== f && !taken.has(g) && g.flash.state === 'confirmed' && (g.flash.camera !== f.flash.camera || g.site !== f.site) && Math.abs(g.at - f.at) <= SAME_SECONDS);
      taken.add(f); same.forEach(g => taken.add(g)); list.push([f, same]);
      if (list.length >= ROWS) break;
    }
    return list;
  };
  const sketch = flash => { // pulses as steps: the course that the event itself carries
    const w = 200, h = 44, dur = flash.duration_seconds || .04, span = Math.max(.6, dur) * 2, x = t => ((t + span / 4) / span * w).toFixed(1), hi = Math.max(8, ...flash.pulses.map(p => p.rise_levels));
    const y = v => (h - 2 - v / hi * (h - 6)).toFixed(1);
    return `M0 ${h - 2}` + flash.pulses.map(p => `L${x(p.offset_seconds)} ${h - 2}L${x(p.offset_seconds)} ${y(p.rise_levels)}L${x(p.offset_seconds + p.duration_seconds)} ${y(p.rise_levels * .4)}L${x(p.offset_seconds + p.duration_seconds)} ${h - 2}`).join('') + `L${w} ${h - 2}`;
  };
  const small = f => f.media.thumbnail || f.media.still;
  const rowOf = (f, same) => {
    const d = f.flash, judging = d.state === 'detected', t = clock(f.at, true), p = d.verdict?.probability;
    const words = judging ? 'onset seen, verdict follows' : d.state === 'rejected' ? 'Doubt: ' + f.words.join('; ') : d.state === 'unverified' ? 'Not judged: ' + f.words.join('; ') : f.words.slice(0, 4).join(', ');
    const button = el('button', { type: 'button', class: 'fl panel', 'aria-expanded': String(S.open === d.id), 'data-id': d.id },
      el('span', { class: 'th' }, small(f) ? image(small(f), '', 'no image') : judging ? el('span', { class: 'pulse', text: 'judging' }) : el('span', { text: d.state === 'rejected' ? 'none kept' : 'no image' }), same[0] && small(same[0]) ? el('img', { class: 'inset', src: small(same[0]), alt: '', width: 80, height: 45 }) : ''),
      el('span', {}, el('span', { class: 'tm' }, el('b', {}, t.slice(0, 8), el('i', { text: t.slice(8) })), el('span', { class: 'faint small', 'data-ago': String(f.at), text: brief(now() - f.at) })),
        el('span', { class: 'ln' }, badge(d.state, d.state + (judging || p == null || d.state === 'unverified' ? '' : ' ' + percent(p))), el('span', {}, el('b', { text: [f, ...same].map(g => g.flash.camera).join(' and ') })), d.duration_seconds == null ? '' : el('span', { text: d.duration_seconds.toFixed(2) + ' s' }), judging ? '' : el('span', { text: plural(d.pulses.length, 'pulse') })),
        el('span', { class: 'why', text: words })),
      el('span', { class: 'sp' }, svg('svg', { class: 'spark', viewBox: '0 0 200 44', preserveAspectRatio: 'none', 'aria-hidden': 'true' }, svg('path', { d: sketch(d) }))));
    button.addEventListener('click', () => toggle(d.id));
    return button;
  };
  const more = (f, same) => {
    const d = f.flash, host = el('div'), link = (href, words) => href ? el('a', { class: 'btn', href, download: '' }, words) : '';
    const facts = [['UTC', clock(f.at, true, 'UTC')], ['Clock', d.clock + (d.utc_error_ms == null ? '' : `, within ${Math.round(d.utc_error_ms)} ms`)], ['Strength', `+${Math.round(d.peak_rise_levels)} of 255 levels`], ['Lit', percent(d.lit_fraction) + ' of the frame'], ['Pulses', d.pulses.slice(0, 6).map(p => '+' + p.offset_seconds.toFixed(2) + ' s').join(', ')], ['Seen after', Math.round(d.latency_ms) + ' ms'], ['Verifier', d.verdict?.verifier], d.quality.length ? ['Damage', d.quality.join(', ')] : null, d.media.note ? ['Note', d.media.note] : null].filter(one => one && one[1]);
    const node = el('div', { class: 'more' }, host, el('div', {}, el('dl', {}, facts.flatMap(([a, b]) => [el('dt', { text: a }), el('dd', { text: b })])), f.words.length ? el('p', { class: 'ev', text: (d.state === 'confirmed' ? 'For it: ' : d.state === 'rejected' ? 'Doubts: ' : 'Not judged: ') + f.words.join('; ') }) : '', same.length ? el('p', { class: 'ev', text: 'Also seen by ' + same.map(g => g.flash.camera).join(', ') }) : '', el('div', { class: 'links' }, link(f.media.still, 'Still'), link(f.media.clip, 'Clip'), link(f.media.model, 'What the model saw'))));
    const make = c => {
      if (!node.isConnected) return;
      S.player = new Player({ clip: f.media.clip, still: f.media.still, why: d.state === 'rejected' ? 'Rejected lights keep no clip' : 'No clip was kept', start: c?.clip_start ?? -2, length: c?.length ?? 4, rate: c?.rate ?? 25, duration: d.duration_seconds || 0, peak: d.peak_seconds - d.start_seconds, pulses: d.pulses.map(p => [p.offset_seconds, p.duration_seconds]), series: [{ color: '--accent', pieces: [c ? new Points(c.seconds, c.levels) : new Points(...pulsePoints(d))] }] });
      host.replaceChildren(S.player.node);
    };
    // The clip shows at once; its light curve is measured first when somebody opens it, which takes a while on a busy machine.
    if (f.media.clip) host.append(el('video', { src: f.media.clip, poster: f.media.still, controls: true, playsinline: true, muted: true, loop: true, autoplay: !L.reducedMotion(), 'aria-label': 'Clip of this flash' }));
    setTimeout(() => f.media.clip ? fetch(`/api/flashes/${encodeURIComponent(d.id)}/curve`).then(r => r.ok ? r.json() : null, () => null).then(make) : make(null), 0);
    return node;
  };
  const pulsePoints = d => { const t = [-2], v = [0]; for (const p of d.pulses) { const a = p.offset_seconds, b = a + p.duration_seconds; t.push(a - .001, a, b, b + .001); v.push(0, p.rise_levels, p.rise_levels * .4, 0); } t.push(2); v.push(0); return [t, v]; };
  const drawStream = fresh => {
    const list = $('#stream'), waiting = [...S.flashes.keys()].filter(id => !S.shown.has(id)).length, pill = $('#held');
    pill.hidden = !waiting;
    if (waiting) pill.replaceChildren(el('button', { type: 'button', class: 'btn primary', onclick: showAll }, plural(waiting, 'new flash', 'new flashes')));
    const all = groups(), kept = new Map([...list.children].filter(n => n.dataset.key).map(n => [n.dataset.key, n]));
    if (!all.length) { list.replaceChildren(el('li', { class: 'empty' }, el('b', { text: 'No flash yet' }), S.state ? `${S.state.cameras.filter(c => c.mark === 'ok').length} of ${S.state.cameras.length} cameras are being watched. The first flash appears here within a second.` : 'Connecting.')); return; }
    const nodes = all.map(([f, same]) => {
      const d = f.flash, mark = JSON.stringify([d.revision, d.state, f.media, same.map(g => [g.flash.id, g.media]), S.local, S.open === d.id]);
      let node = kept.get(d.id);
      if (node?.dataset.mark === mark) return node;
      if (!node) node = el('li', { 'data-key': d.id });
      const focused = node.contains(document.activeElement) && document.activeElement.matches('.fl');
      const old = $('.fl', node), row = rowOf(f, same);
      if (old) old.replaceWith(row); else node.append(row);
      const clips = $('.more', node);
      if (S.open === d.id && (!clips || node.dataset.clip !== String(f.media.clip))) { clips?.remove(); node.append(more(f, same)); node.dataset.clip = String(f.media.clip); } else if (S.open !== d.id) clips?.remove();
      node.className = `item ${d.state}${S.open === d.id ? ' open' : ''}${fresh === d.id ? ' new' : ''}`;
      node.dataset.mark = mark;
      if (focused) row.focus({ preventScroll: true });
      return node;
    });
    // Only what is out of place is moved: a node that is taken out and put back loses its focus and stops its clip.
    nodes.forEach((node, i) => { if (list.children[i] !== node) list.insertBefore(node, list.children[i] || null); });
    while (list.children.length > nodes.length) list.lastChild.remove();
  };
  const toggle = id => { S.player?.close(); S.player = null; S.open = S.open === id ? null : id; drawStream(); $(`.fl[data-id="${CSS.escape(id)}"]`)?.focus({ preventScroll: true }); };
  const showAll = () => { S.player?.close(); S.player = null; S.open = null; for (const id of S.flashes.keys()) S.shown.add(id); drawStream(); $('.fl', $('#stream'))?.focus({ preventScroll: true }); $('#stream').scrollIntoView({ block: 'nearest', behavior: L.reducedMotion() ? 'auto' : 'smooth' }); };
  const busy = () => S.open != null || $('#stream').getBoundingClientRect().top < 40;
  const take = (view, quietly) => {
    const id = view.flash.id, before = S.flashes.get(id);
    if (before && before.flash.revision > view.flash.revision) return;
    S.flashes.set(id, view);
    if (quietly) { S.shown.add(id); return; }
    const fresh = !before;
    if (fresh && !busy()) S.shown.add(id);
    drawStream(fresh ? id : null);
    if (fresh) { const key = view.site + ' ' + view.flash.camera; S.hits.set(key, Date.now() + 1800); const mark = on => $(`[data-c="${CSS.escape(key)}"]`)?.classList.toggle('hit', on); mark(true); setTimeout(() => mark(S.hits.get(key) > Date.now()), 1850); }
    if (view.flash.state === 'confirmed' && before?.flash.state !== 'confirmed') $('#say').textContent = `Flash confirmed, ${view.flash.camera}, ${clock(view.at)}`;
    if (S.flashes.size > 1000) for (const old of ordered().slice(800)) { S.flashes.delete(old.flash.id); S.shown.delete(old.flash.id); }
  };

  const all = () => { drawStorm(); drawBars(); drawTroubles(); drawCams(); drawSide(); };
  const fetchFlashes = first => fetch('/api/flashes?limit=100').then(r => r.json()).then(({ flashes }) => { for (const f of flashes) take(f, first || !S.started); S.started = true; drawStream(); }).catch(() => { /* the stream says that contact is lost */ });

  /* contact */
  const listen = () => {
    const events = new EventSource('/api/events');
    events.addEventListener('open', () => { fetchFlashes(!S.started); });
    events.addEventListener('state', e => { S.state = JSON.parse(e.data); S.skew = S.state.now - Date.now() / 1e3; S.at = performance.now(); S.lost = S.lostAt = null; all(); if (!S.flashes.size) drawStream(); });
    events.addEventListener('flash', e => take(JSON.parse(e.data)));
    events.addEventListener('missed', () => fetchFlashes(false));
    events.addEventListener('error', () => { lose(); if (events.readyState === EventSource.CLOSED) setTimeout(listen, 3000); });
  };
  const lose = () => { if (S.lost == null && S.state) { S.lostAt = Date.now() / 1e3 - (performance.now() - S.at) / 1e3; S.lost = S.lostAt + S.skew; drawStorm(); drawTroubles(); drawCams(); drawSide(); } };
  setInterval(() => {
    if (S.state && performance.now() - S.at > LOST_AFTER * 2000 + 2000) lose();
    drawStorm(); drawTroubles(); if (S.lost != null) drawSide();
    const t = now();
    for (const node of document.querySelectorAll('[data-ago]')) node.textContent = brief(t - node.dataset.ago);
    for (const node of document.querySelectorAll('[data-image]')) node.textContent = `image ${ago(t - node.dataset.image)} old`;
  }, 1000);

  addEventListener('keydown', e => {
    const row = e.target.closest?.('.fl');
    if (e.key === 'Escape' && S.open) { toggle(S.open); return; }
    if (!row) return;
    const rows = [...document.querySelectorAll('.fl')], i = rows.indexOf(row), to = rows[{ ArrowDown: i + 1, ArrowUp: i - 1, Home: 0, End: rows.length - 1 }[e.key] ?? -1];
    if (to) { e.preventDefault(); to.focus(); }
  });
  const segment = (host, choices, choose) => choices.forEach(([name, value], n) => host.append(el('button', { type: 'button', 'aria-pressed': String(!n), onclick: e => { choose(value); for (const b of host.children) b.setAttribute('aria-pressed', String(b === e.currentTarget)); drawStream(); } }, name)));
  segment($('#zone'), [['Local', true], ['UTC', false]], local => { S.local = local; S.troubles = null; all(); });
  segment($('#order'), [['Newest', false], ['Strongest', true]], strongest => { S.strongest = strongest; });
  L.themeButton($('#theme'));
  drawTroubles(); drawStream(); listen();
})();
