import type { KeyValue } from "@tesserae/image/key";
import type { CompilerHost, Expression, Node, ParameterDeclaration, SourceFile } from "typescript";
import { ts } from "./compiler.ts";

/**
 * Replaces, in the source of the main module, every `keys.name` of a build-time key by its value, so that the bundler
 * can drop what it rules out. `keys` is the property of main's first parameter, destructured or not; names that are
 * shadowed are left alone. Lines keep their numbers.
 *
 * Only texts, numbers and booleans are folded; other values arrive in `keys` like run-time ones.
 */
export function foldKeys(source: string, fileName: string, constants: Readonly<Record<string, KeyValue>>): string {
  const names = Object.keys(constants);
  if (names.length === 0) return source;
  const file = ts.createSourceFile(fileName, source, ts.ScriptTarget.ES2022, true);
  // A program of this one file binds its names without reading anything else.
  const host: CompilerHost = {
    fileExists: (name) => name === fileName,
    readFile: () => undefined,
    getSourceFile: (name) => (name === fileName ? file : undefined),
    getDefaultLibFileName: () => "lib.d.ts",
    getCurrentDirectory: () => "",
    getCanonicalFileName: (name) => name,
    getNewLine: () => "\n",
    useCaseSensitiveFileNames: () => true,
    writeFile: () => undefined,
  };
  const options = { noLib: true, noResolve: true, types: [], allowImportingTsExtensions: true, noEmit: true };
  const checker = ts.createProgram([fileName], options, host).getTypeChecker();
  const parameter = mainParameter(file);
  if (parameter === undefined) return source;
  const whole = ts.isIdentifier(parameter.name) ? checker.getSymbolAtLocation(parameter.name) : undefined;
  const element = ts.isObjectBindingPattern(parameter.name)
    ? parameter.name.elements.find((each) => (each.propertyName ?? each.name).getText(file) === "keys")
    : undefined;
  const keys =
    element !== undefined && ts.isIdentifier(element.name) ? checker.getSymbolAtLocation(element.name) : undefined;
  const isKeys = (node: Expression): boolean => {
    if (ts.isIdentifier(node)) return keys !== undefined && checker.getSymbolAtLocation(node) === keys;
    return (
      ts.isPropertyAccessExpression(node) &&
      node.name.text === "keys" &&
      ts.isIdentifier(node.expression) &&
      whole !== undefined &&
      checker.getSymbolAtLocation(node.expression) === whole
    );
  };
  const edits: { readonly start: number; readonly end: number; readonly text: string }[] = [];
  const visit = (node: Node): void => {
    if (ts.isPropertyAccessExpression(node) && isKeys(node.expression) && Object.hasOwn(constants, node.name.text)) {
      const value = constants[node.name.text];
      if (value !== undefined && typeof value !== "object") {
        const start = node.getStart(file);
        const newlines = source.slice(start, node.end).replace(/[^\n]/g, "");
        edits.push({ start, end: node.end, text: `(${JSON.stringify(value)}${newlines})` });
        return;
      }
    }
    ts.forEachChild(node, visit);
  };
  visit(file);
  let folded = source;
  for (const { start, end, text } of edits.reverse()) folded = folded.slice(0, start) + text + folded.slice(end);
  return folded;
}

function mainParameter(file: SourceFile): ParameterDeclaration | undefined {
  for (const statement of file.statements) {
    if (ts.isFunctionDeclaration(statement) && statement.name?.text === "main") return statement.parameters[0];
    if (!ts.isVariableStatement(statement)) continue;
    for (const { name, initializer } of statement.declarationList.declarations) {
      if (name.getText(file) !== "main" || initializer === undefined) continue;
      if (ts.isArrowFunction(initializer) || ts.isFunctionExpression(initializer)) return initializer.parameters[0];
    }
  }
  return undefined;
}
