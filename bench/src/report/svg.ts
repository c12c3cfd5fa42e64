// Shared by all charts: colors that follow the reader's light or dark theme, and escaped text. Pure.
const STYLE = `
  text { font: 12px system-ui, sans-serif; fill: #1f2328; }
  .faint { fill: #59636e; }
  .title { font-weight: 600; }
  .line { stroke: #1f2328; opacity: 0.55; }
  .couplet { fill: #0969da; } .peerjs { fill: #bc4c00; } .corked { fill: #1a7f37; }
  .bare { fill: #8c959f; } .fastify { fill: #8250df; }
  .ours { fill: #6cb6ff; } .library { fill: #ffb77c; } .node { fill: #a5d6a7; } .native { fill: #d0d7de; }
  .ours, .library, .node, .native { stroke: #fff; stroke-width: 0.5; }
  .flame { font-size: 11px; fill: #1f2328; }
  @media (prefers-color-scheme: dark) {
    text { fill: #e6edf3; } .faint { fill: #9198a1; } .line { stroke: #e6edf3; }
    .couplet { fill: #4493f8; } .peerjs { fill: #db6d28; } .corked { fill: #3fb950; }
    .bare { fill: #6e7681; } .fastify { fill: #a371f7; }
    .ours, .library, .node, .native { stroke: #0d1117; }
    .flame { fill: #1f2328; }
  }`;

export const escaped = (text: string): string =>
  text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;');

export const svg = (width: number, height: number, title: string, content: string): string =>
  `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" width="${width}" height="${height}" role="img">
<title>${escaped(title)}</title>
<style>${STYLE}
</style>
${content}
</svg>
`;
