/* Shared by the report, the live page and `tune`: small drawings, times, theme. */
'use strict';
window.Lightning = (() => {
  const SVG = 'http://www.w3.org/2000/svg';
  const LINES = new Set(['prev', 'next', 'close', 'sun', 'moon', 'plus', 'minus', 'down', 'fwd', 'back', 'link', 'clock']);

  const el = (tag, attributes = {}, ...children) => {
    const node = document.createElement(tag);
    for (const [key, value] of Object.entries(attributes)) {
      if (value == null || value === false) continue;
      if (key === 'class') node.className = value;
      else if (key === 'text') node.textContent = value;
      else if (key.startsWith('on')) node.addEventListener(key.slice(2), value);
      else node.setAttribute(key, value === true ? '' : value);
    }
    for (const child of children.flat()) if (child != null && child !== false) node.append(child);
    return node;
  };

  const svg = (tag, attributes = {}, ...children) => {
    const node = document.createElementNS(SVG, tag);
    for (const [key, value] of Object.entries(attributes)) node.setAttribute(key, value);
    node.append(...children);
    return node;
  };

  /* The page holds a <symbol id="i-NAME"> for each. */
  const icon = name => svg('svg', { viewBox: '0 0 12 12', 'aria-hidden': 'true', class: LINES.has(name) ? 'i line' : 'i' }, svg('use', { href: '#i-' + name }));
  const badge = (state, words) => el('span', { class: 'badge ' + state }, icon(state), words || state);

  const plural = (n, one, many) => n.toLocaleString('en') + ' ' + (n === 1 ? one : many || one + 's');
  const percent = share => share < .01 ? 'under 1\u00a0%' : Math.round(share * 100) + '\u00a0%';
  const length = s => s < 60 ? s.toFixed(s < 10 ? 1 : 0) + ' s' : s < 3600 ? Math.floor(s / 60) + ' min ' + Math.round(s % 60) + ' s' : Math.floor(s / 3600) + ' h ' + Math.floor(s % 3600 / 60) + ' min';

  /* hh:mm:ss of a UTC time in a zone given as [[from, offset in seconds, name], ...]; no zone is UTC. */
  const offsetAt = (t, zone) => {
    let offset = 0;
    for (const [from, seconds] of zone || []) if (t >= from || !offset) offset = seconds;
    return offset;
  };
  const clock = (t, zone, digits = 0) => {
    const ms = Math.round((t + offsetAt(t, zone)) * 1000), text = new Date(ms).toISOString();
    return digits ? text.slice(11, 20 + digits) : text.slice(11, 19);
  };
  const dayOf = (t, zone) => new Date((t + offsetAt(t, zone)) * 1000).toISOString().slice(0, 10);
  const inFile = (s, digits = 0) => {
    const k = 10 ** digits, ticks = Math.round(Math.max(0, s) * k), whole = Math.floor(ticks / k), two = n => String(n).padStart(2, '0');
    const h = Math.floor(whole / 3600), text = (h ? h + ':' + two(Math.floor(whole % 3600 / 60)) : Math.floor(whole / 60)) + ':' + two(whole % 60);
    return digits ? text + '.' + String(ticks % k).padStart(digits, '0') : text;
  };

  const css = name => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
  const reducedMotion = () => matchMedia('(prefers-reduced-motion: reduce)').matches;

  /* Follows the system until the button is pressed; `themechange` is told to whoever draws on canvas. */
  const themeButton = button => {
    const light = matchMedia('(prefers-color-scheme: light)');
    const now = () => document.documentElement.dataset.theme || (light.matches ? 'light' : 'dark');
    const show = () => {
      const other = now() === 'dark' ? 'Light theme' : 'Dark theme';
      button.replaceChildren(icon(now() === 'dark' ? 'sun' : 'moon'), el('span', { class: 'sr', text: other }));
      button.title = other;
      dispatchEvent(new Event('themechange'));
    };
    try { const kept = localStorage.getItem('theme'); if (kept) document.documentElement.dataset.theme = kept; } catch { /* a file may refuse it */ }
    button.addEventListener('click', () => {
      const theme = now() === 'dark' ? 'light' : 'dark';
      document.documentElement.dataset.theme = theme;
      try { localStorage.setItem('theme', theme); } catch { /* the same */ }
      show();
    });
    light.addEventListener('change', show);
    button.hidden = false;
    show();
  };

  return { el, svg, icon, badge, plural, percent, length, clock, dayOf, offsetAt, inFile, css, reducedMotion, themeButton };
})();
