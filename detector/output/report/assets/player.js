/* A flash's clip in slow motion; its light curve is the scrubber. For the report, the live page and `tune`. */
'use strict';
(() => {
  const { el, icon, CurveView, reducedMotion } = window.Lightning;
  const RATES = [[.1, '1/10'], [.25, '1/4'], [1, '1']];
  const BEFORE = .3, AFTER = .5; // what slow speeds repeat about the flash

  /* options: clip, still: addresses or null; why: words where there is no clip
     start: seconds from the onset to the clip's first frame, below 0; length, rate: of the clip
     duration, peak, pulses [[offset, duration]]: of the flash; series: for its curve, seconds after the onset */
  class Player {
    static speed = .25;

    constructor(options) {
      Object.assign(this, { start: -2, length: 4, rate: 25, duration: 0, peak: 0, pulses: [], series: [], measure: 'luma' }, options);
      this.node = el('div', { class: 'player' });
      if (this.clip) this.makeVideo(); else this.node.append(el('div', { class: 'nothing' }, this.still ? el('img', { src: this.still, alt: 'The flash' }) : null, el('p', { text: this.why || 'No clip was kept' })));
      this.makeScrubber();
      if (this.clip) this.makeButtons();
    }

    makeVideo() {
      const v = this.video = el('video', { src: this.clip, poster: this.still, playsinline: true, muted: true, loop: true, preload: 'auto', 'aria-label': 'Clip of this flash' });
      v.muted = true; v.addEventListener('click', () => this.toggle());
      v.addEventListener('loadedmetadata', () => {
        if (isFinite(v.duration) && v.duration > 0) this.length = v.duration;
        this.setSpeed(Player.speed); this.curve?.set({ end: this.start + this.length, view: [this.start, this.start + this.length] }); this.begin();
      });
      v.addEventListener('error', () => { v.replaceWith(el('div', { class: 'nothing' }, this.still ? el('img', { src: this.still, alt: 'The flash' }) : null, el('p', { text: 'This browser cannot play the clip; the link below has it' }))); });
      if (!reducedMotion()) v.addEventListener('loadeddata', () => v.play().catch(() => { }), { once: true });
      this.node.append(v);
      const tick = () => { if (!v.isConnected) return; this.loop(); this.show(); requestAnimationFrame(tick); };
      setTimeout(tick, 0);
    }

    makeScrubber() {
      const end = this.start + this.length;
      this.head = el('div', { class: 'ph', hidden: !this.clip }); this.now = el('span');
      this.scrub = el('div', this.clip ? { class: 'scrub', tabindex: '0', role: 'slider', 'aria-label': 'Position in the clip', 'aria-valuemin': this.start.toFixed(2), 'aria-valuemax': end.toFixed(2), 'aria-valuenow': '0' } : { class: 'scrub' });
      const host = el('div'); this.scrub.append(host, el('div', { class: 'lab' }, el('span', { text: '\u2212' + (-this.start).toFixed(1) + ' s' }), this.now, el('span', { text: '+' + end.toFixed(1) + ' s' })), this.head);
      this.node.append(this.scrub);
      this.curve = new CurveView(host, { series: this.series, measure: this.measure, begin: this.start, end, axes: false, height: innerWidth < 640 ? 60 : 74, spans: this.pulses.map(([o, d]) => ({ a: o, b: o + d })), onseek: this.clip ? t => { this.video.pause(); this.seek(t); } : null });
      this.scrub.addEventListener('keydown', e => { const n = { ArrowLeft: -1, ArrowRight: 1 }[e.key]; if (n && this.clip) { this.step(n); e.preventDefault(); e.stopPropagation(); } });
    }

    makeButtons() {
      this.play = el('button', { class: 'btn primary', type: 'button', onclick: () => this.toggle() });
      const label = () => this.play.replaceChildren(icon(this.video.paused ? 'play' : 'pause'), this.video.paused ? 'Play' : 'Pause');
      for (const type of ['play', 'pause']) this.video.addEventListener(type, label);
      label();
      this.speeds = el('div', { class: 'seg', role: 'group', 'aria-label': 'Speed' }, RATES.map(([rate, name]) => el('button', { type: 'button', onclick: () => this.setSpeed(rate) }, name + '×')));
      const button = (name, words, key, act) => el('button', { class: 'btn icon', type: 'button', title: words + '  ' + key, onclick: act }, icon(name), el('span', { class: 'sr', text: words }));
      this.node.append(el('div', { class: 'trans' }, this.play, button('back', 'One frame back', ',', () => this.step(-1)), button('fwd', 'One frame on', '.', () => this.step(1)), this.speeds, el('button', { class: 'btn', type: 'button', text: 'Brightest frame', onclick: () => { this.video.pause(); this.seek(this.peak + .001); } })));
      this.setSpeed(Player.speed);
    }

    get time() { return this.video.currentTime + this.start; }
    begin() { this.seek(-BEFORE); }
    seek(t) { this.video.currentTime = Math.max(0, Math.min(this.length - .5 / this.rate, t - this.start)); this.show(); }
    step(n) { if (!this.video) return; this.video.pause(); this.video.currentTime = Math.max(0, Math.min(this.length - .5 / this.rate, (Math.floor(this.video.currentTime * this.rate + .01) + n + .25) / this.rate)); this.show(); }
    toggle() { if (!this.video) return; if (this.video.paused) this.video.play().catch(() => { }); else this.video.pause(); }
    setSpeed(rate) { Player.speed = rate; this.video.playbackRate = rate; [...this.speeds?.children || []].forEach((b, i) => b.setAttribute('aria-pressed', String(RATES[i][0] === rate))); }
    loop() { if (!this.video.paused && Player.speed < 1 && this.time > this.duration + AFTER) this.seek(-BEFORE); }

    show() {
      const t = this.time; if (t === this.shown) return;
      this.shown = t;
      this.head.style.left = Math.max(0, Math.min(100, (t - this.start) / this.length * 100)) + '%';
      this.now.textContent = (t < 0 ? '\u2212' : '+') + Math.abs(t).toFixed(2) + ' s from onset';
      this.scrub.setAttribute('aria-valuenow', t.toFixed(2)); this.scrub.setAttribute('aria-valuetext', this.now.textContent);
    }

    close() { this.video?.pause(); this.curve.close(); this.node.remove(); }
  }

  window.Lightning.Player = Player;
})();
