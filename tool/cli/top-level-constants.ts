import type { Node, SourceFile } from "typescript";
import { ts } from "./compiler.ts";
import type { Move } from "./source-map.ts";

/**
 * Gives the top-level `const` and `class` of a bundle their constancy back.
 *
 * esbuild prints every top-level declaration of a bundle as `var`. To V8 (Node 20) a `var` or `let` is a variable that
 * may change: its value is not folded into optimised code, and what is reached through it is looked up and checked
 * each time. Hot code that uses module-level objects runs up to twice as fast with `const`.
 *
 * Only modules that `ours` accepts are changed: their sources use no `var`, so that nothing depends on reading a
 * variable before its declaration. Lines stay as they are; columns move by two on the lines changed: see
 * {@link movedColumns}.
 *
 * @param code what esbuild printed, not minified, with its comments that name each module
 * @param ours whether a module, named as in those comments, has no `var` of its own
 */
export function restoreConstants(
  code: string,
  ours: (path: string) => boolean = (path) => !path.includes("node_modules/"),
): string {
  return withConstants(code, constantPlaces(constantCandidates(code), ours));
}

/** A `var` that may become a `const` if its module is of ours. */
export interface Candidate {
  /** Its offset in the code. */
  readonly place: number;
  /** As the bundler names it; `undefined` before the first module. */
  readonly module?: string;
}

/** The offsets in `code` of each `var` that {@link restoreConstants} makes a `const`, ascending. */
export function constantPlaces(candidates: readonly Candidate[], ours: (path: string) => boolean): readonly number[] {
  const known = new Map<string, boolean>();
  return candidates.flatMap(({ place, module }) => {
    if (module === undefined) return [];
    const own = known.get(module) ?? ours(module);
    known.set(module, own);
    return own ? [place] : [];
  });
}

/** Every top-level `var` in `code`, ascending, that is assigned nowhere but in its declaration. */
export function constantCandidates(code: string): readonly Candidate[] {
  const file = ts.createSourceFile("bundle.js", code, ts.ScriptTarget.ESNext, false, ts.ScriptKind.JS);
  const seen = new Map<string, number>();
  for (const statement of file.statements) {
    if (!ts.isVariableStatement(statement)) continue;
    for (const { name } of statement.declarationList.declarations) {
      if (ts.isIdentifier(name)) seen.set(name.text, (seen.get(name.text) ?? 0) + 1);
    }
  }
  const assigned = assignedNames(file);
  const candidates: Candidate[] = [];
  let module: string | undefined;
  for (const statement of file.statements) {
    for (const { pos, end } of ts.getLeadingCommentRanges(code, statement.pos) ?? []) {
      module = /^\/\/ (\S+\.[cm]?[jt]sx?)$/.exec(code.slice(pos, end))?.[1] ?? module;
    }
    if (!ts.isVariableStatement(statement)) continue;
    if ((statement.declarationList.flags & ts.NodeFlags.BlockScoped) !== 0) continue;
    const plain = statement.declarationList.declarations.every(
      ({ name, initializer }) =>
        initializer !== undefined && ts.isIdentifier(name) && seen.get(name.text) === 1 && !assigned.has(name.text),
    );
    if (plain) candidates.push({ place: statement.getStart(file), ...(module === undefined ? {} : { module }) });
  }
  return candidates;
}

/** `code` with a `const` for the `var` at each of `places`. */
export function withConstants(code: string, places: readonly number[]): string {
  let changed = "";
  let done = 0;
  for (const start of places) {
    changed += `${code.slice(done, start)}const`;
    done = start + "var".length;
  }
  return changed + code.slice(done);
}

/** How {@link withConstants} moves what is in each line, for the source map. */
export function movedColumns(code: string, places: readonly number[]): ReadonlyMap<number, readonly Move[]> {
  const moves = new Map<number, Move[]>();
  let line = 0;
  let lineStart = 0;
  for (const place of places) {
    for (let end = code.indexOf("\n", lineStart); end >= 0 && end < place; end = code.indexOf("\n", lineStart)) {
      line++;
      lineStart = end + 1;
    }
    const list = moves.get(line) ?? [];
    moves.set(line, [...list, { column: place - lineStart, by: "const".length - "var".length }]);
  }
  return moves;
}

/** Every name that something in the file assigns, in whatever scope. */
function assignedNames(file: SourceFile): ReadonlySet<string> {
  const names = new Set<string>();
  const target = (node: Node): void => {
    if (ts.isIdentifier(node)) names.add(node.text);
    else if (!ts.isPropertyAccessExpression(node) && !ts.isElementAccessExpression(node)) ts.forEachChild(node, target);
  };
  const visit = (node: Node): void => {
    if (ts.isBinaryExpression(node)) {
      const operator = node.operatorToken.kind;
      if (operator >= ts.SyntaxKind.FirstAssignment && operator <= ts.SyntaxKind.LastAssignment) target(node.left);
    } else if (ts.isPrefixUnaryExpression(node) || ts.isPostfixUnaryExpression(node)) {
      if (node.operator === ts.SyntaxKind.PlusPlusToken || node.operator === ts.SyntaxKind.MinusMinusToken) {
        target(node.operand);
      }
    } else if (
      (ts.isForOfStatement(node) || ts.isForInStatement(node)) &&
      !ts.isVariableDeclarationList(node.initializer)
    ) {
      target(node.initializer);
    }
    ts.forEachChild(node, visit);
  };
  visit(file);
  return names;
}
