// A part that turns: triangles drawn with a depth buffer of our own, so that it needs no graphics card and no network.
const bytes = text => Uint8Array.from(atob(text), c => c.charCodeAt(0));
const SIZE = 174;

class View {
  constructor(canvas, shape) {
    this.canvas = canvas;
    this.context = canvas.getContext("2d");
    this.scale = Math.min(2, window.devicePixelRatio || 1);
    canvas.width = canvas.height = Math.round(SIZE * this.scale);
    const places = new Uint16Array(bytes(shape.v).buffer);
    const index = text => shape.wide ? new Uint32Array(bytes(text).buffer) : new Uint16Array(bytes(text).buffer);
    this.places = Float32Array.from(places, p => (p - 32768) / 32767);
    this.faces = index(shape.f);
    this.edges = index(shape.e);
    this.seen = new Float32Array(this.places.length);
    const n = canvas.width;
    this.image = this.context.createImageData(n, n);
    this.pixels = new Uint32Array(this.image.data.buffer);
    this.depth = new Float32Array(n * n);
  }

  // Angles in radians: about the vertical, and from above. The first view is the one of the pictures, from (1, -1, 1).
  draw(about, above) {
    const n = this.canvas.width, half = n / 2, zoom = half * 0.94, p = this.places, q = this.seen;
    const ca = Math.cos(about), sa = Math.sin(about), ce = Math.cos(above), se = Math.sin(above);
    for (let i = 0; i < p.length; i += 3) {
      const right = ca * p[i + 1] - sa * p[i], out = ca * p[i] + sa * p[i + 1];
      q[i] = half + zoom * right;
      q[i + 1] = half - zoom * (ce * p[i + 2] - se * out);
      q[i + 2] = ce * out + se * p[i + 2];
    }
    this.pixels.fill(0xffffffff);
    this.depth.fill(-9);
    for (let i = 0; i < this.faces.length; i += 3) this.triangle(3 * this.faces[i], 3 * this.faces[i + 1], 3 * this.faces[i + 2], n, zoom);
    for (let i = 0; i < this.edges.length; i += 2) this.line(3 * this.edges[i], 3 * this.edges[i + 1], n);
    this.context.putImageData(this.image, 0, 0);
  }

  triangle(a, b, c, n, zoom) {
    const q = this.seen, ax = q[a], ay = q[a + 1], bx = q[b], by = q[b + 1], cx = q[c], cy = q[c + 1];
    const area = (bx - ax) * (cy - ay) - (by - ay) * (cx - ax);
    if (area >= -1e-9) return; // it faces away
    const az = q[a + 2], bz = q[b + 2], cz = q[c + 2];
    // The share of the light from the camera: how squarely the face is looked at.
    const ux = bx - ax, uy = by - ay, uz = (bz - az) * zoom, vx = cx - ax, vy = cy - ay, vz = (cz - az) * zoom;
    const nx = uy * vz - uz * vy, ny = uz * vx - ux * vz, nz = ux * vy - uy * vx;
    const facing = Math.abs(nz) / (Math.hypot(nx, ny, nz) || 1);
    const grey = Math.round(70 + 130 * facing), colour = (255 << 24) | (Math.min(255, grey + 12) << 16) | (grey << 8) | (grey - 8);
    const x0 = Math.max(0, Math.floor(Math.min(ax, bx, cx))), x1 = Math.min(n - 1, Math.ceil(Math.max(ax, bx, cx)));
    const y0 = Math.max(0, Math.floor(Math.min(ay, by, cy))), y1 = Math.min(n - 1, Math.ceil(Math.max(ay, by, cy)));
    const wa = (by - cy) / area, wb = (cy - ay) / area, da = (cx - bx) / area, db = (ax - cx) / area;
    for (let y = y0; y <= y1; y++) {
      let u = wa * (x0 + 0.5 - cx) + da * (y + 0.5 - cy), v = wb * (x0 + 0.5 - cx) + db * (y + 0.5 - cy);
      for (let x = x0, at = y * n + x0; x <= x1; x++, at++, u += wa, v += wb) {
        if (u < -1e-4 || v < -1e-4 || u + v > 1.0001) continue;
        const z = u * az + v * bz + (1 - u - v) * cz;
        if (z > this.depth[at]) { this.depth[at] = z; this.pixels[at] = colour; }
      }
    }
  }

  line(a, b, n) {
    const q = this.seen, dx = q[b] - q[a], dy = q[b + 1] - q[a + 1], dz = q[b + 2] - q[a + 2];
    const steps = Math.ceil(Math.max(Math.abs(dx), Math.abs(dy), 1));
    for (let i = 0; i <= steps; i++) {
      const t = i / steps, x = Math.floor(q[a] + t * dx), y = Math.floor(q[a + 1] + t * dy), at = y * n + x;
      if (x >= 0 && y >= 0 && x < n && y < n && q[a + 2] + t * dz > this.depth[at] - 0.02) this.pixels[at] = 0xff201a16;
    }
  }
}
