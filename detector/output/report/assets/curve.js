/* A light curve over time on canvas: the storm's timeline, the player's scrubber, the curve of `tune`. */
'use strict';
(() => {
  const { el, css } = window.Lightning;
  const FONT = '12px system-ui, sans-serif';
  const STEPS = [.02, .05, .1, .2, .5, 1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 10800, 21600, 43200, 86400];
  const NONE = 65535;

  const bytes = text => Uint8Array.from(atob(text), c => c.charCodeAt(0)).buffer;
  const NO_FINE = { t: new Float32Array(0), luma: new Uint16Array(0), rise: new Uint16Array(0) };

  /* One stretch without a gap, as the page's data hold it: levels in hundredths, 65535 where nothing came. */
  class Piece {
    constructor(p) {
      this.begin = p.begin; this.step = p.step;
      this.low = new Uint16Array(bytes(p.low)); this.high = new Uint16Array(bytes(p.high)); this.rise = new Uint16Array(bytes(p.rise));
      this.fine = p.t ? { t: new Float32Array(bytes(p.t)), luma: new Uint16Array(bytes(p.luma)), rise: new Uint16Array(bytes(p.fine_rise)) } : NO_FINE;
      this.end = this.begin + this.low.length * this.step;
    }

    /* Calls emit(t, level) in order of time: every frame where it is kept, else the extremes of each step. */
    points(a, b, measure, emit) {
      const { begin, step, fine } = this, last = Math.min(this.low.length - 1, Math.ceil((b - begin) / step));
      let k = 0, n = Math.max(0, Math.floor((a - begin) / step) - 1);
      for (let lo = 0, hi = fine.t.length; lo < hi;) { const m = (lo + hi) >> 1; if (fine.t[m] < n * step) k = lo = m + 1; else hi = m; }
      for (; n <= last; n++) {
        const from = n * step, to = from + step;
        if (k < fine.t.length && fine.t[k] < to) {
          for (; k < fine.t.length && fine.t[k] < to; k++) emit(begin + fine.t[k], fine[measure][k] / 100);
        } else if (this.low[n] !== NONE) {
          if (measure === 'rise') emit(begin + from + step / 2, this.rise[n] / 100);
          else { emit(begin + from + step / 3, this.low[n] / 100); if (this.high[n] !== this.low[n]) emit(begin + from + step * 2 / 3, this.high[n] / 100); }
        }
      }
    }
  }

  /* A curve given point by point, as a flash's own or a live camera's. */
  class Points {
    constructor(t, v) { this.t = t; this.v = v; this.begin = t[0] ?? 0; this.end = t[t.length - 1] ?? 0; }

    points(a, b, _measure, emit) { for (let i = 0; i < this.t.length; i++) if (this.t[i] >= a - 1 && this.t[i] <= b + 1) emit(this.t[i], this.v[i]); }
  }

  /* options:
     series: [{color: '--curve1', pieces: [Piece | Points]}]; begin, end: the whole axis
     watched: [[a, b]] stretches that were watched, null where that is not known; elsewhere is hatched
     spans: [{a, b, color}] shaded; lines: [{level, label, color}] thresholds; stems: [{t, level, color}] where no curve is
     least, most: levels that the axis spans at least, and ends at; what is above leaves the plot
     axes: false for the scrubber; brush: whether the whole is shown below; pad, height: pixels
     label(t, step): text of a tick; base(t): what ticks are counted from
     onview(a, b): zoomed; onpick(t, seconds of 14 pixels): clicked; onseek(t): dragged, for a scrubber */
  class CurveView {
    constructor(host, options) {
      Object.assign(this, { series: [], spans: [], lines: [], stems: [], watched: null, axes: true, brush: false, pad: 0, height: 190, measure: 'luma', least: 12, most: Infinity, minSpan: 1.2, label: t => t.toFixed(1), base: () => 0 }, options);
      this.host = host; this.view = [this.begin, this.end]; this.hover = null; this.drag = null;
      host.classList.add('curve'); if (this.axes) host.classList.add('time');
      this.canvas = el('canvas'); host.append(this.canvas);
      if (this.brush) this.makeBrush();
      this.listen();
      this.sized = new ResizeObserver(() => { if (host.clientWidth !== this.width) this.draw(); });
      this.sized.observe(host);
      this.themed = () => this.draw(); addEventListener('themechange', this.themed);
    }

    close() { this.sized.disconnect(); removeEventListener('themechange', this.themed); this.canvas.remove(); }

    get zoomed() { return this.view[1] - this.view[0] < (this.end - this.begin) * .985; }
    get plotWidth() { return Math.max(1, this.host.clientWidth - this.pad); }
    x(t) { return this.pad + (t - this.view[0]) / (this.view[1] - this.view[0]) * this.plotWidth; }
    t(x) { return this.view[0] + (x - this.pad) / this.plotWidth * (this.view[1] - this.view[0]); }

    zoom(a, b) {
      const whole = this.end - this.begin, width = Math.min(Math.max(b - a, this.minSpan), whole);
      const from = Math.min(Math.max((a + b) / 2 - width / 2, this.begin), this.end - width);
      this.view = [from, from + width]; this.draw(); this.onview?.(...this.view);
    }
    scale(k, at = (this.view[0] + this.view[1]) / 2) { this.zoom(at - (at - this.view[0]) * k, at + (this.view[1] - at) * k); }
    whole() { this.zoom(this.begin, this.end); }
    set(options) { Object.assign(this, options); this.draw(); }

    draw() {
      const width = this.width = this.host.clientWidth;
      if (!width) return;
      const c = this.context(this.canvas, width, this.height), [a, b] = this.view, foot = this.axes ? 26 : 0, top = 8, bottom = this.height - foot - 2;
      const [lo, hi] = this.range(a, b), y = v => bottom - (v - lo) / (hi - lo) * (bottom - top);
      c.save(); c.beginPath(); c.rect(this.pad, 0, width - this.pad, bottom + 2); c.clip();
      this.hatch(c, bottom);
      for (const s of this.spans) { c.fillStyle = css(s.color || '--shade'); const x0 = this.x(s.a); c.fillRect(x0 - 1, 0, Math.max(3, this.x(s.b) - x0 + 1), bottom + 2); }
      c.restore();
      if (this.axes) this.drawAxes(c, y, lo, hi, bottom);
      c.save(); c.beginPath(); c.rect(this.pad, 0, width - this.pad, bottom + 2); c.clip();
      for (const s of this.series) { c.strokeStyle = css(s.color); this.trace(c, s, a, b, t => this.x(t), y, s.width || 1.4); }
      for (const s of this.stems) { c.strokeStyle = css(s.color); c.lineWidth = 1.5; c.beginPath(); c.moveTo(this.x(s.t), bottom); c.lineTo(this.x(s.t), y(s.level)); c.stroke(); }
      for (const l of this.lines) { c.strokeStyle = c.fillStyle = css(l.color || '--warn'); c.lineWidth = 1; c.setLineDash([5, 4]); c.beginPath(); c.moveTo(this.pad, y(l.level)); c.lineTo(width, y(l.level)); c.stroke(); c.setLineDash([]); c.font = FONT; c.textAlign = 'left'; c.textBaseline = 'alphabetic'; c.fillText(l.label, this.pad + 6, y(l.level) - 4); }
      if (this.hover != null && this.axes) { c.strokeStyle = css('--edge'); c.lineWidth = 1; c.beginPath(); c.moveTo(this.hover, 0); c.lineTo(this.hover, bottom + 2); c.stroke(); }
      if (this.drag?.moved) { const [p, q] = [this.drag.from, this.drag.to].sort((m, n) => m - n); c.fillStyle = css('--shade'); c.fillRect(p, 0, q - p, bottom + 2); }
      c.restore();
      if (this.brush) this.drawBrush();
    }

    context(canvas, width, height) {
      const d = devicePixelRatio || 1; canvas.width = Math.round(width * d); canvas.height = Math.round(height * d); canvas.style.height = height + 'px';
      const c = canvas.getContext('2d'); c.scale(d, d); c.lineJoin = 'round'; return c;
    }

    range(a, b) {
      let lo = Infinity, hi = -Infinity;
      for (const s of this.series) for (const p of s.pieces) if (p.end >= a && p.begin <= b) p.points(a, b, this.measure, (t, v) => { if (t >= a && t <= b) { if (v < lo) lo = v; if (v > hi) hi = v; } });
      for (const s of this.stems) { lo = 0; hi = Math.max(hi, s.level); }
      for (const l of this.lines) { lo = Math.min(lo, l.level); hi = Math.max(hi, l.level); }
      if (!(hi >= lo)) [lo, hi] = [0, Math.min(100, this.most)];
      hi = Math.min(hi, this.most);
      if (this.measure === 'rise' || this.stems.length) lo = 0;
      const room = Math.max(hi - lo, this.least) * .06;
      return [Math.max(0, lo - room), Math.max(hi, lo + this.least) + room];
    }

    /* One line through the least and greatest value of each pixel column. */
    trace(c, series, a, b, x, y, width) {
      c.lineWidth = width;
      for (const piece of series.pieces) {
        if (piece.end < a || piece.begin > b) continue;
        let column = null, lo = 0, hi = 0, last = 0, begun = false;
        c.beginPath();
        const put = (px, v) => { begun ? c.lineTo(px, y(v)) : c.moveTo(px, y(v)); begun = true; };
        const flush = () => { if (column == null) return; put(column, lo); if (hi !== lo) put(column, hi); if (last !== hi) put(column, last); };
        piece.points(a, b, this.measure, (t, v) => {
          const px = Math.round(x(t) * 2) / 2;
          if (px === column) { if (v < lo) lo = v; if (v > hi) hi = v; last = v; } else { flush(); column = px; lo = hi = last = v; }
        });
        flush(); c.stroke();
      }
    }

    hatch(c, bottom) {
      if (!this.watched) return;
      const [a, b] = this.view; let from = a; c.strokeStyle = css('--line2'); c.lineWidth = 1; c.globalAlpha = .6;
      for (const [begin, end] of [...this.watched, [b, Infinity]]) {
        if (begin > from) {
          const x0 = this.x(from), x1 = this.x(Math.min(begin, b));
          c.save(); c.beginPath(); c.rect(x0, 0, x1 - x0, bottom + 2); c.clip(); c.beginPath();
          for (let x = x0 - bottom - (x0 - bottom) % 8; x < x1; x += 8) { c.moveTo(x, bottom + 2); c.lineTo(x + bottom, 0); }
          c.stroke(); c.restore();
        }
        from = Math.max(from, end); if (from >= b) break;
      }
      c.globalAlpha = 1;
    }

    drawAxes(c, y, lo, hi, bottom) {
      c.font = FONT; c.lineWidth = 1; c.textBaseline = 'middle'; c.textAlign = 'right';
      const rough = (hi - lo) / 3.2, ten = 10 ** Math.floor(Math.log10(rough)), step = [1, 2, 2.5, 5, 10].map(k => k * ten).find(k => k >= rough);
      for (let v = Math.ceil(lo / step) * step; v <= hi; v += step) {
        c.strokeStyle = css('--line'); c.beginPath(); c.moveTo(this.pad, y(v)); c.lineTo(this.width, y(v)); c.stroke();
        c.fillStyle = css('--text3'); c.fillText(String(+v.toFixed(2)), this.pad - 7, Math.max(7, y(v)));
      }
      const [a, b] = this.view, span = (b - a) * (this.width < 560 ? 84 : 110) / this.plotWidth, gap = STEPS.find(s => s >= span) || 86400;
      const base = this.base(a); c.textAlign = 'center';
      for (let t = Math.ceil((a + base) / gap) * gap - base; t <= b; t += gap) {
        const x = this.x(t); c.strokeStyle = css('--line'); c.beginPath(); c.moveTo(x, 0); c.lineTo(x, bottom + 2); c.stroke();
        c.fillStyle = css('--text3'); const text = this.label(t, gap), half = c.measureText(text).width / 2;
        if (x - half > this.pad - 24 && x + half < this.width + 1) c.fillText(text, x, bottom + 17);
      }
    }

    /* A press becomes a selection, a click or a position; the brush below moves the window. */
    listen() {
      const cv = this.canvas, at = e => e.clientX - cv.getBoundingClientRect().left;
      cv.addEventListener('pointerdown', e => {
        if (e.button) return;
        cv.setPointerCapture(e.pointerId); this.drag = { from: at(e), to: at(e), moved: false };
        if (this.onseek) this.onseek(this.t(at(e)));
      });
      cv.addEventListener('pointermove', e => {
        this.hover = e.pointerType === 'touch' ? null : at(e);
        if (this.drag) { this.drag.to = at(e); this.drag.moved ||= Math.abs(this.drag.to - this.drag.from) > 6; if (this.onseek) this.onseek(this.t(at(e))); }
        if (this.axes) requestAnimationFrame(() => this.draw());
      });
      cv.addEventListener('pointerleave', () => { this.hover = null; if (this.axes) this.draw(); });
      const release = e => {
        const d = this.drag; this.drag = null;
        if (!d || !this.axes || e.type === 'pointercancel') return;
        if (d.moved) { const [p, q] = [this.t(d.from), this.t(d.to)].sort((m, n) => m - n); this.zoom(p, q); } else this.onpick?.(this.t(d.from), 14 * (this.view[1] - this.view[0]) / this.plotWidth);
      };
      cv.addEventListener('pointerup', release); cv.addEventListener('pointercancel', release);
      if (!this.axes) return;
      cv.addEventListener('dblclick', () => this.whole());
      cv.addEventListener('wheel', e => { if (!e.ctrlKey && !e.shiftKey) return; e.preventDefault(); this.scale((e.deltaY || e.deltaX) < 0 ? .8 : 1.25, this.t(at(e))); }, { passive: false });
    }

    makeBrush() {
      const canvas = el('canvas'), win = el('div', { class: 'win' }, el('div', { class: 'hl' }), el('div', { class: 'hr' })), b = el('div', { class: 'brush' }, canvas, win);
      this.overview = { b, canvas, win }; this.host.append(b);
      let mode = null, x0 = 0, view = null;
      const value = px => this.begin + px / b.clientWidth * (this.end - this.begin), at = e => e.clientX - b.getBoundingClientRect().left;
      b.addEventListener('pointerdown', e => { x0 = at(e); view = [...this.view]; mode = ['hl', 'hr', 'win'].find(k => e.target.classList.contains(k)) || 'new'; b.setPointerCapture(e.pointerId); });
      b.addEventListener('pointermove', e => {
        if (!mode) return;
        const p = at(e), d = value(p) - value(x0);
        if (mode === 'win') this.zoom(view[0] + d, view[1] + d);
        else if (mode === 'hl') this.zoom(Math.min(view[0] + d, view[1] - this.minSpan), view[1]);
        else if (mode === 'hr') this.zoom(view[0], Math.max(view[1] + d, view[0] + this.minSpan));
        else if (Math.abs(p - x0) > 5) this.zoom(Math.min(value(x0), value(p)), Math.max(value(x0), value(p)));
      });
      for (const type of ['pointerup', 'pointercancel']) b.addEventListener(type, () => { mode = null; });
      b.addEventListener('dblclick', () => this.whole());
    }

    /* The whole is drawn once for each width, theme and measure; only the window moves. */
    drawBrush() {
      const { b, canvas, win } = this.overview; b.style.marginLeft = this.pad + 'px';
      const w = b.clientWidth, h = b.clientHeight, X = t => (t - this.begin) / (this.end - this.begin) * w, state = [w, this.measure, css('--bg'), this.marks?.length].join();
      if (state !== this.drawn) {
        this.drawn = state;
        const c = this.context(canvas, w, h), [lo, hi] = this.range(this.begin, this.end); canvas.style.height = '';
        for (const s of this.series) { c.strokeStyle = css(s.color); this.trace(c, s, this.begin, this.end, X, v => h - 4 - (v - lo) / (hi - lo) * (h - 16), 1); }
        c.fillStyle = css('--accent'); for (const t of this.marks || []) c.fillRect(X(t) - .75, 2, 1.5, 6);
      }
      win.hidden = !this.zoomed; win.style.left = X(this.view[0]) + 'px'; win.style.width = Math.max(8, X(this.view[1]) - X(this.view[0])) + 'px';
    }
  }

  Object.assign(window.Lightning, { CurveView, Piece, Points });
})();
