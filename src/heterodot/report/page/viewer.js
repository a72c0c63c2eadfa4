// A small WebGL viewer of one particle: spheres as impostors, one draw call, no libraries.
// viewer(root, data): data = {positions: Float32Array(3n), radius: Float32Array(n),
//   colorings: [{name, colors: Uint8Array(3n), legend: [[label, css]]}], label(i) -> text,
//   surfaces: [{name, color: [r, g, b], vertices: Float32Array(3m), faces: Uint32Array(3k)}]}
"use strict";
function viewer(root, data) {
  const canvas = root.querySelector("canvas");
  const tip = root.querySelector(".tip");
  const n = data.positions.length / 3;
  let lo = [1e9, 1e9, 1e9], hi = [-1e9, -1e9, -1e9];
  for (let i = 0; i < n; i++) for (let k = 0; k < 3; k++) {
    const x = data.positions[3 * i + k];
    if (x < lo[k]) lo[k] = x;
    if (x > hi[k]) hi[k] = x;
  }
  const mid = [0, 1, 2].map(k => (lo[k] + hi[k]) / 2);
  let reach = 1;
  for (let i = 0; i < n; i++) {
    let d = 0;
    for (let k = 0; k < 3; k++) d += (data.positions[3 * i + k] - mid[k]) ** 2;
    reach = Math.max(reach, Math.sqrt(d) + data.radius[i]);
  }
  const view = { turn: data.start || [0.86, -0.5, 0.06, 0.1], zoom: 1, pan: [0, 0], size: 0.75, cut: 1, coloring: 0 };
  let places = data.positions;

  // attributes are left to the browser's default antialias off: impostor edges are smoothed below
  const gl = canvas.getContext("webgl2", { antialias: false, preserveDrawingBuffer: true });
  if (!gl) {
    root.classList.add("nogl");
    tip.textContent = "This browser has no WebGL2; the particle is shown flat.";
    return flat();
  }
  function build(sources) {
    const made = gl.createProgram();
    for (const [kind, text] of sources) {
      const shader = gl.createShader(kind);
      gl.shaderSource(shader, text);
      gl.compileShader(shader);
      if (!gl.getShaderParameter(shader, gl.COMPILE_STATUS)) throw new Error(gl.getShaderInfoLog(shader));
      gl.attachShader(made, shader);
    }
    gl.linkProgram(made);
    if (!gl.getProgramParameter(made, gl.LINK_STATUS)) throw new Error(gl.getProgramInfoLog(made));
    return made;
  }
  const program = build([[gl.VERTEX_SHADER, `#version 300 es
    in vec2 corner; in vec3 place; in float radius; in vec3 color;
    uniform mat3 turn; uniform vec3 mid; uniform vec2 scale; uniform vec2 pan;
    uniform float size; uniform float reach; uniform float cut;
    out vec2 at; out vec3 tint; out float depth; out float big;
    void main() {
      vec3 p = turn * (place - mid);
      at = corner * 1.02; tint = color; big = radius * size; depth = p.z;
      vec2 xy = (p.xy + at * big) * scale + pan;
      float hidden = p.z > cut * reach ? 2.0 : 0.0;   // cut away towards the viewer
      gl_Position = vec4(xy, hidden > 1.0 ? 2.0 : -p.z / (reach * 1.6), 1.0);
    }`], [gl.FRAGMENT_SHADER, `#version 300 es
    precision highp float;
    in vec2 at; in vec3 tint; in float depth; in float big;
    uniform float reach;
    out vec4 paint;
    void main() {
      float r2 = dot(at, at);
      if (r2 > 1.0) discard;
      vec3 normal = vec3(at, sqrt(1.0 - r2));
      float z = depth + normal.z * big;
      gl_FragDepth = 0.5 - 0.5 * z / (reach * 1.6);
      float light = 0.38 + 0.62 * max(dot(normal, normalize(vec3(-0.45, 0.55, 0.75))), 0.0);
      float shine = pow(max(dot(normal, normalize(vec3(-0.25, 0.35, 1.0))), 0.0), 40.0) * 0.25;
      float fog = 0.72 + 0.28 * smoothstep(-reach, reach, depth);
      float rim = smoothstep(1.0, 0.86, r2) * 0.35 + 0.65;
      paint = vec4((tint * light * rim + shine) * fog + (1.0 - fog) * 0.9, 1.0);
    }`]]);
  gl.useProgram(program);
  const spot = name => gl.getUniformLocation(program, name);
  const where = {};
  for (const name of ["turn", "mid", "scale", "pan", "size", "reach", "cut"]) where[name] = spot(name);
  function buffer(name, array, width, per, type, norm) {
    const b = gl.createBuffer(), at = gl.getAttribLocation(program, name);
    gl.bindBuffer(gl.ARRAY_BUFFER, b);
    gl.bufferData(gl.ARRAY_BUFFER, array, gl.STATIC_DRAW);
    gl.enableVertexAttribArray(at);
    gl.vertexAttribPointer(at, width, type, norm, 0, 0);
    gl.vertexAttribDivisor(at, per);
    return b;
  }
  gl.bindVertexArray(gl.createVertexArray());
  buffer("corner", new Float32Array([-1, -1, 1, -1, -1, 1, 1, 1]), 2, 0, gl.FLOAT, false);
  const placeBuffer = buffer("place", data.positions, 3, 1, gl.FLOAT, false);
  buffer("radius", data.radius, 1, 1, gl.FLOAT, false);
  const colorBuffer = buffer("color", data.colorings[0].colors, 3, 1, gl.UNSIGNED_BYTE, true);
  gl.enable(gl.DEPTH_TEST);
  gl.blendFunc(gl.SRC_ALPHA, gl.ONE_MINUS_SRC_ALPHA);
  const atoms = { vertexArray: gl.getParameter(gl.VERTEX_ARRAY_BINDING) };
  const skins = (data.surfaces || []).map(skin);
  gl.bindVertexArray(atoms.vertexArray);

  function skin(surface) {      // a translucent surface with smooth normals
    const v = surface.vertices, f = surface.faces, normals = new Float32Array(v.length);
    for (let t = 0; t < f.length; t += 3) {
      const [a, b, c] = [3 * f[t], 3 * f[t + 1], 3 * f[t + 2]];
      const p = [0, 1, 2].map(k => v[b + k] - v[a + k]), q = [0, 1, 2].map(k => v[c + k] - v[a + k]);
      const cross = [p[1] * q[2] - p[2] * q[1], p[2] * q[0] - p[0] * q[2], p[0] * q[1] - p[1] * q[0]];
      for (const at of [a, b, c]) for (let k = 0; k < 3; k++) normals[at + k] += cross[k];
    }
    const made = build([[gl.VERTEX_SHADER, `#version 300 es
      in vec3 place; in vec3 normal;
      uniform mat3 turn; uniform vec3 mid; uniform vec2 scale; uniform vec2 pan; uniform float reach;
      out vec3 up; out float depth;
      void main() {
        vec3 p = turn * (place - mid);
        up = turn * normal; depth = p.z;
        gl_Position = vec4(p.xy * scale + pan, -p.z / (reach * 1.6), 1.0);
      }`], [gl.FRAGMENT_SHADER, `#version 300 es
      precision highp float;
      in vec3 up; in float depth;
      uniform vec3 color; uniform float reach; uniform float cut;
      out vec4 paint;
      void main() {
        if (depth > cut * reach) discard;
        vec3 n = normalize(up);
        float light = 0.55 + 0.45 * abs(dot(n, normalize(vec3(-0.45, 0.55, 0.75))));
        float edge = 1.0 - abs(n.z);
        paint = vec4(color * light, 0.38 + 0.45 * edge * edge);
      }`]]);
    const vertexArray = gl.createVertexArray();
    gl.bindVertexArray(vertexArray);
    for (const [name, array] of [["place", v], ["normal", normals]]) {
      const at = gl.getAttribLocation(made, name);
      gl.bindBuffer(gl.ARRAY_BUFFER, gl.createBuffer());
      gl.bufferData(gl.ARRAY_BUFFER, array, gl.STATIC_DRAW);
      gl.enableVertexAttribArray(at);
      gl.vertexAttribPointer(at, 3, gl.FLOAT, false, 0, 0);
    }
    gl.bindBuffer(gl.ELEMENT_ARRAY_BUFFER, gl.createBuffer());
    gl.bufferData(gl.ELEMENT_ARRAY_BUFFER, f, gl.STATIC_DRAW);
    const at = {};
    for (const name of ["turn", "mid", "scale", "pan", "reach", "cut", "color"]) at[name] = gl.getUniformLocation(made, name);
    return { made, vertexArray, at, count: f.length, color: surface.color, shown: false };
  }
  function drawSkins() {
    if (!skins.some(s => s.shown)) return;
    gl.enable(gl.BLEND);
    gl.enable(gl.CULL_FACE);
    gl.depthMask(false);
    for (const side of [gl.FRONT, gl.BACK]) for (const s of skins) {   // far sides first
      if (!s.shown) continue;
      gl.cullFace(side);
      gl.useProgram(s.made);
      gl.bindVertexArray(s.vertexArray);
      gl.uniformMatrix3fv(s.at.turn, false, matrix());
      gl.uniform3fv(s.at.mid, mid);
      gl.uniform2fv(s.at.scale, scales());
      gl.uniform2fv(s.at.pan, view.pan);
      gl.uniform1f(s.at.reach, reach);
      gl.uniform1f(s.at.cut, view.cut);
      gl.uniform3fv(s.at.color, s.color);
      gl.drawElements(gl.TRIANGLES, s.count, gl.UNSIGNED_INT, 0);
    }
    gl.depthMask(true);
    gl.disable(gl.CULL_FACE);
    gl.disable(gl.BLEND);
    gl.useProgram(program);
    gl.bindVertexArray(atoms.vertexArray);
  }

  function matrix() {           // quaternion to rotation, column-major for GL
    const [w, x, y, z] = view.turn;
    return [1 - 2 * (y * y + z * z), 2 * (x * y + w * z), 2 * (x * z - w * y),
      2 * (x * y - w * z), 1 - 2 * (x * x + z * z), 2 * (y * z + w * x),
      2 * (x * z + w * y), 2 * (y * z - w * x), 1 - 2 * (x * x + y * y)];
  }
  function scales() {
    const short = Math.min(canvas.width, canvas.height), s = view.zoom * 0.96 / reach;
    return [s * short / canvas.width, s * short / canvas.height];
  }
  let pending = false;
  function draw() {
    pending = false;
    const sharp = Math.min(window.devicePixelRatio || 1, 2);
    const w = Math.round(canvas.clientWidth * sharp), h = Math.round(canvas.clientHeight * sharp);
    if (canvas.width !== w || canvas.height !== h) { canvas.width = w; canvas.height = h; }
    gl.viewport(0, 0, w, h);
    gl.clearColor(1, 1, 1, 1);
    gl.clear(gl.COLOR_BUFFER_BIT | gl.DEPTH_BUFFER_BIT);
    gl.uniformMatrix3fv(where.turn, false, matrix());
    gl.uniform3fv(where.mid, mid);
    gl.uniform2fv(where.scale, scales());
    gl.uniform2fv(where.pan, view.pan);
    gl.uniform1f(where.size, view.size);
    gl.uniform1f(where.reach, reach);
    gl.uniform1f(where.cut, view.cut);
    gl.drawArraysInstanced(gl.TRIANGLE_STRIP, 0, 4, n);
    drawSkins();
    root.dataset.drawn = String(n);
  }
  function redraw() { if (!pending) { pending = true; requestAnimationFrame(draw); } }

  function multiply(a, b) {
    return [a[0] * b[0] - a[1] * b[1] - a[2] * b[2] - a[3] * b[3],
      a[0] * b[1] + a[1] * b[0] + a[2] * b[3] - a[3] * b[2],
      a[0] * b[2] - a[1] * b[3] + a[2] * b[0] + a[3] * b[1],
      a[0] * b[3] + a[1] * b[2] - a[2] * b[1] + a[3] * b[0]];
  }
  function rotate(dx, dy) {
    const angle = Math.hypot(dx, dy);
    if (angle < 1e-6) return;
    const s = Math.sin(angle / 2) / angle;
    view.turn = multiply([Math.cos(angle / 2), dy * s, dx * s, 0], view.turn);
    const norm = Math.hypot(...view.turn);
    view.turn = view.turn.map(x => x / norm);
    redraw();
  }
  const fingers = new Map();
  let gap = 0;
  canvas.addEventListener("pointerdown", e => {
    canvas.setPointerCapture(e.pointerId);
    fingers.set(e.pointerId, [e.clientX, e.clientY]);
    gap = 0; tip.textContent = "";
  });
  canvas.addEventListener("pointermove", e => {
    const old = fingers.get(e.pointerId);
    if (!old) return point(e);
    fingers.set(e.pointerId, [e.clientX, e.clientY]);
    const dx = e.clientX - old[0], dy = e.clientY - old[1];
    if (fingers.size === 2) {
      const [p, q] = [...fingers.values()];
      const now = Math.hypot(p[0] - q[0], p[1] - q[1]);
      if (gap) zoom(now / gap);
      gap = now;
    } else if (e.shiftKey || e.buttons === 2 || e.buttons === 4) {
      view.pan[0] += 2 * dx / canvas.clientWidth; view.pan[1] -= 2 * dy / canvas.clientHeight; redraw();
    } else rotate(dx / 140, dy / 140);
  });
  for (const end of ["pointerup", "pointercancel"]) canvas.addEventListener(end, e => { fingers.delete(e.pointerId); gap = 0; });
  canvas.addEventListener("contextmenu", e => e.preventDefault());
  function zoom(by) { view.zoom = Math.min(Math.max(view.zoom * by, 0.3), 30); redraw(); }
  canvas.addEventListener("wheel", e => { e.preventDefault(); zoom(Math.exp(-e.deltaY / 600)); }, { passive: false });
  canvas.addEventListener("keydown", e => {
    const step = 0.12, keys = { ArrowLeft: [-step, 0], ArrowRight: [step, 0], ArrowUp: [0, -step], ArrowDown: [0, step] };
    if (keys[e.key]) { e.preventDefault(); rotate(...keys[e.key]); }
    if (e.key === "+" || e.key === "=") zoom(1.15);
    if (e.key === "-") zoom(1 / 1.15);
  });
  function point(e) {           // the nearest atom in front under the pointer
    const box = canvas.getBoundingClientRect(), m = matrix(), s = scales();
    const x = 2 * (e.clientX - box.left) / box.width - 1, y = 1 - 2 * (e.clientY - box.top) / box.height;
    let best = -1, front = -1e9;
    for (let i = 0; i < n; i++) {
      const p = [0, 1, 2].map(k => places[3 * i + k] - mid[k]);
      const z = m[2] * p[0] + m[5] * p[1] + m[8] * p[2];
      if (z > view.cut * reach || z < front) continue;
      const px = (m[0] * p[0] + m[3] * p[1] + m[6] * p[2]) * s[0] + view.pan[0];
      const py = (m[1] * p[0] + m[4] * p[1] + m[7] * p[2]) * s[1] + view.pan[1];
      const r = data.radius[i] * view.size;
      if (((x - px) / (r * s[0])) ** 2 + ((y - py) / (r * s[1])) ** 2 < 1) { best = i; front = z; }
    }
    tip.textContent = best < 0 ? "" : data.label(best);
  }
  function flat() { return { set() {}, reset() {}, image() { return null; } }; }
  new ResizeObserver(redraw).observe(canvas);
  redraw();
  return {
    set(change) {
      Object.assign(view, change);
      if ("coloring" in change) {
        gl.bindBuffer(gl.ARRAY_BUFFER, colorBuffer);
        gl.bufferData(gl.ARRAY_BUFFER, data.colorings[view.coloring].colors, gl.STATIC_DRAW);
      }
      if (change.positions) {
        places = change.positions;
        gl.bindBuffer(gl.ARRAY_BUFFER, placeBuffer);
        gl.bufferData(gl.ARRAY_BUFFER, places, gl.STATIC_DRAW);
      }
      if (change.surface) skins[change.surface[0]].shown = change.surface[1];
      redraw();
    },
    reset() { Object.assign(view, { turn: data.start || [0.86, -0.5, 0.06, 0.1], zoom: 1, pan: [0, 0], cut: 1 }); redraw(); },
    image() { draw(); return canvas.toDataURL("image/png"); },
  };
}
