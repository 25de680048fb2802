/* Draw what is not watched on a camera's image, and get the lines for the settings file. Nothing is sent. */
'use strict';
(() => {
  const { el, css, percent } = window.Lightning, $ = query => document.querySelector(query);
  const canvas = $('#image'), image = new Image(), NEAR = 12;
  const S = { done: [], now: [], at: [.5, .5], keys: false };
  const wanted = new URLSearchParams(location.search);

  const point = e => { const box = canvas.getBoundingClientRect(); return [e.clientX - box.left, e.clientY - box.top].map((v, i) => Math.min(1, Math.max(0, v / (i ? box.height : box.width)))); };
  const pixels = ([x, y]) => [x * canvas.width, y * canvas.height];
  const close = () => { if (S.now.length < 3) { say('A polygon needs three corners at least.'); return; } S.done.push(S.now); S.now = []; say('Closed. Click to begin another one.'); draw(); };
  const say = text => { $('#hint').textContent = text; };
  const add = p => {
    const first = S.now[0], scale = canvas.width / Math.max(1, canvas.clientWidth);
    if (S.now.length >= 3 && Math.hypot(...pixels(p).map((v, i) => v - pixels(first)[i])) < NEAR * scale) { close(); return; }
    S.now.push(p); say(`${S.now.length} corner${S.now.length > 1 ? 's' : ''}. Click the first one, or press Enter, to close.`); draw();
  };
  const undo = () => { if (S.now.length) S.now.pop(); else if (S.done.length) S.now = S.done.pop(); draw(); };

  const number = v => String(Number(v.toFixed(3)));
  const toml = () => S.done.length ? 'mask = [\n' + S.done.map(p => '  { polygon = [' + p.map(([x, y]) => `[${number(x)}, ${number(y)}]`).join(', ') + '] },\n').join('') + ']\n' : '';
  const masked = () => { // counted on a grid as `watch` does
    const w = 320, h = 180, c = Object.assign(document.createElement('canvas'), { width: w, height: h }).getContext('2d', { willReadFrequently: true });
    for (const p of S.done) { c.beginPath(); p.forEach(([x, y], i) => c[i ? 'lineTo' : 'moveTo'](x * w, y * h)); c.fill('evenodd'); }
    return c.getImageData(0, 0, w, h).data.reduce((n, v, i) => n + (i % 4 === 3 && v > 127), 0) / w / h;
  };

  const draw = () => {
    const c = canvas.getContext('2d'), path = (p, closed) => { c.beginPath(); p.forEach((q, i) => c[i ? 'lineTo' : 'moveTo'](...pixels(q))); if (closed) c.closePath(); };
    c.clearRect(0, 0, canvas.width, canvas.height);
    if (image.naturalWidth) c.drawImage(image, 0, 0, canvas.width, canvas.height);
    c.lineWidth = Math.max(1.5, canvas.width / 400); c.strokeStyle = '#fff';
    for (const p of S.done) { path(p, true); c.fillStyle = 'rgba(185, 30, 60, .45)'; c.fill('evenodd'); c.stroke(); }
    if (S.now.length) { path(S.now, false); c.stroke(); for (const q of S.now) { c.beginPath(); c.arc(...pixels(q), c.lineWidth * 2.5, 0, 7); c.fillStyle = css('--accent'); c.fill(); c.stroke(); } }
    if (S.keys) { const [x, y] = pixels(S.at); c.beginPath(); c.moveTo(x - 10, y); c.lineTo(x + 10, y); c.moveTo(x, y - 10); c.lineTo(x, y + 10); c.stroke(); }
    $('#toml').value = toml();
    $('#share').textContent = S.done.length ? `${percent(masked())} of the frame is not watched.` : 'Nothing is masked yet.';
  };

  canvas.addEventListener('pointerdown', e => { S.keys = false; add(point(e)); });
  canvas.addEventListener('keydown', e => {
    const step = e.shiftKey ? .05 : .01, move = { ArrowLeft: [-step, 0], ArrowRight: [step, 0], ArrowUp: [0, -step], ArrowDown: [0, step] }[e.key];
    if (move) { S.keys = true; S.at = S.at.map((v, i) => Math.min(1, Math.max(0, v + move[i]))); draw(); }
    else if (e.key === ' ') { S.keys = true; add([...S.at]); }
    else if (e.key === 'Enter') close();
    else if (e.key === 'Backspace') undo();
    else if (e.key === 'Escape') { S.now = []; draw(); }
    else return;
    e.preventDefault();
  });
  $('#close').onclick = close; $('#undo').onclick = undo; $('#clear').onclick = () => { S.done = []; S.now = []; draw(); };
  $('#copy').onclick = async () => { const box = $('#toml'); try { await navigator.clipboard.writeText(box.value); say('Copied.'); } catch { box.focus(); box.select(); say('Selected: press Ctrl+C to copy.'); } };

  const show = camera => {
    if (!camera?.snapshot) { say('There is no image of this camera; watch writes them with --out.'); return; }
    image.onload = () => { canvas.width = Math.max(960, image.naturalWidth); canvas.height = Math.round(canvas.width * image.naturalHeight / image.naturalWidth); draw(); };
    image.src = camera.snapshot;
    document.title = 'Mask of ' + camera.name;
  };
  const begin = () => fetch('/api/cameras').then(r => r.json()).then(({ cameras }) => {
    if (!cameras.length) { say('No camera is known yet.'); setTimeout(begin, 1000); return; }
    const choice = $('#camera');
    cameras.forEach((c, i) => choice.append(el('option', { value: String(i) }, c.site + ' ' + c.name)));
    const first = Math.max(0, cameras.findIndex(c => c.name === wanted.get('camera') && (!wanted.get('site') || c.site === wanted.get('site'))));
    choice.value = String(first); choice.onchange = () => { S.done = []; S.now = []; show(cameras[+choice.value]); draw(); };
    show(cameras[first]);
  }).catch(() => { say('The page does not answer.'); setTimeout(begin, 3000); });
  begin();
  window.Lightning.themeButton($('#theme'));
  draw();
})();
