// Makes code count how often each of its blocks runs, while esbuild bundles it: far cheaper than asking the engine.
import { readFileSync } from "node:fs";
import ts from "typescript";

/** The name of the global array of counters, and how many there are. */
const counters = "tesseraeBlockCounts";
const most = 65_536;

/** To be the first thing in the bundle. */
export const countersBanner = `globalThis.${counters} = new Uint32Array(${most});`;

/**
 * @param {RegExp} filter of the paths of the files to change
 * @returns {import("esbuild").Plugin}
 */
export function blockCounters(filter) {
  let next = 0;
  return {
    name: "block-counters",
    setup(build) {
      build.onLoad({ filter: /\.ts$/ }, ({ path }) => {
        if (!filter.test(path)) return undefined;
        const source = readFileSync(path, "utf8");
        const { contents, used } = instrument(path, source, next);
        next += used;
        if (next > most) throw new Error(`more than ${most} blocks`);
        return { contents, loader: "ts" };
      });
    },
  };
}

/**
 * The source with a counter at the start of each body and branch, and in each operand that need not be evaluated.
 *
 * @param {string} path
 * @param {string} source
 * @param {number} first the number of its first counter
 */
export function instrument(path, source, first) {
  const file = ts.createSourceFile(path, source, ts.ScriptTarget.Latest, true);
  /** @type {{ at: number, rank: number, text: string }[]} */
  const insertions = [];
  let used = 0;
  const count = () => `${counters}[${first + used++}]++`;
  /** Around a node: closers come before openers at the same place, inner closers before outer ones. */
  let opened = 0;
  /** @param {ts.Node} node @param {string} before @param {string} after */
  const wrap = (node, before, after) => {
    opened++;
    insertions.push({ at: node.getStart(file), rank: opened, text: before });
    insertions.push({ at: node.end, rank: -opened, text: after });
  };
  /** @param {ts.Node | undefined} statement a branch, with braces or without */
  const branch = (statement) => {
    if (statement === undefined) return;
    if (ts.isBlock(statement)) insertions.push({ at: statement.getStart(file) + 1, rank: 0, text: ` ${count()};` });
    else wrap(statement, `{ ${count()}; `, " }");
  };
  /** @param {ts.Expression} expression */
  const operand = (expression) => wrap(expression, `(${count()}, `, ")");
  /** @param {ts.Node} node */
  const visit = (node) => {
    if (ts.isTypeNode(node)) return;
    if (ts.isFunctionLike(node) && "body" in node && node.body !== undefined) {
      if (ts.isBlock(node.body)) branch(node.body);
      else if (ts.isArrowFunction(node)) operand(node.body);
    } else if (ts.isIfStatement(node)) {
      branch(node.thenStatement);
      branch(node.elseStatement);
    } else if (ts.isIterationStatement(node, false)) {
      branch(node.statement);
    } else if (ts.isCaseOrDefaultClause(node)) {
      const [statement] = node.statements;
      if (statement !== undefined) insertions.push({ at: statement.getStart(file), rank: 0, text: `${count()}; ` });
    } else if (ts.isConditionalExpression(node)) {
      operand(node.whenTrue);
      operand(node.whenFalse);
    } else if (
      ts.isBinaryExpression(node) &&
      [ts.SyntaxKind.AmpersandAmpersandToken, ts.SyntaxKind.BarBarToken, ts.SyntaxKind.QuestionQuestionToken].includes(
        node.operatorToken.kind,
      )
    ) {
      operand(node.right);
    }
    ts.forEachChild(node, visit);
  };
  visit(file);
  insertions.sort((a, b) => a.at - b.at || a.rank - b.rank);
  let contents = "";
  let at = 0;
  for (const insertion of insertions) {
    contents += source.slice(at, insertion.at) + insertion.text;
    at = insertion.at;
  }
  return { contents: contents + source.slice(at), used };
}
