// A lineage as a drawing: dagre says where everything stands, this draws it. The list on the page says the same.
import { Graph, layout } from "/vendor/dagre.js";

const SVG = "http://www.w3.org/2000/svg";
const HEIGHT = 44, PAD = 12, MARGIN = 16, LONGEST = 34;
const holder = document.getElementById("graph");
const data = JSON.parse(document.getElementById("graph-data").textContent);

function make(name, attributes, parent, text) {
  const element = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
  if (text !== undefined) element.textContent = text;
  parent.append(element);
  return element;
}

const shortened = (text) => (text.length > LONGEST ? `${text.slice(0, LONGEST - 1)}…` : text);

function arranged() {
  const canvas = document.createElement("canvas").getContext("2d");
  canvas.font = "13px system-ui, sans-serif";
  const graph = new Graph({ multigraph: true });
  graph.setGraph({ rankdir: "LR", nodesep: 14, ranksep: 70, marginx: MARGIN, marginy: MARGIN });
  graph.setDefaultEdgeLabel(() => ({}));
  for (const node of data.nodes) {
    const width = Math.max(90, canvas.measureText(shortened(node.label)).width + 2 * PAD + 6);
    graph.setNode(node.id, { width, height: HEIGHT, node });
  }
  for (const edge of data.edges) {
    const width = canvas.measureText(edge.relation).width;
    graph.setEdge(edge.source, edge.target, { relation: edge.relation, width, height: 14, labelpos: "c" }, edge.relation);
  }
  layout(graph);
  return graph;
}

function draw(graph) {
  const { width, height } = graph.graph();
  const svg = make("svg", { width: Math.ceil(width), height: Math.ceil(height), viewBox: `0 0 ${width} ${height}` }, holder);
  const marker = make("marker", { id: "arrow", viewBox: "0 0 8 8", refX: 7, refY: 4, markerWidth: 8, markerHeight: 8, orient: "auto" }, make("defs", {}, svg));
  make("path", { d: "M0 0 L8 4 L0 8 z", class: "arrow" }, marker);
  for (const name of graph.edges()) {
    const edge = graph.edge(name);
    const points = edge.points.map(({ x, y }) => `${x.toFixed(1)},${y.toFixed(1)}`).join(" ");
    make("polyline", { points, class: "edge", "marker-end": "url(#arrow)" }, svg);
    make("text", { x: edge.x, y: edge.y - 4, class: "relation" }, svg, edge.relation);
  }
  for (const id of graph.nodes()) {
    const { x, y, width: w, height: h, node } = graph.node(id);
    const group = node.link ? make("a", { href: node.link }, svg) : make("g", {}, svg);
    group.setAttribute("class", id === data.root ? "node root" : "node");
    group.setAttribute("transform", `translate(${x - w / 2} ${y - h / 2})`);
    make("title", {}, group, `${node.kind} ${node.label}`);
    make("rect", { width: w, height: h, rx: 6 }, group);
    make("text", { x: PAD, y: 17, class: "kind" }, group, node.kind);
    make("text", { x: PAD, y: 34 }, group, shortened(node.label));
  }
  const root = graph.node(data.root);
  holder.scrollLeft = root.x - holder.clientWidth / 2;
  holder.scrollTop = root.y - holder.clientHeight / 2;
}

holder.hidden = false;
draw(arranged());
