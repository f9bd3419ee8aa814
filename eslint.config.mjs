import eslint from "@eslint/js";
import globals from "globals";
import tseslint from "typescript-eslint";
import { architecture } from "./tool/lint/architecture.mjs";

/** What code under lib/ may expect of an engine, beside the language itself. No clock, no randomness, no device. */
const portableGlobals = [
  ...["AbortController", "AbortSignal", "DOMException", "TextDecoder", "TextEncoder", "URL", "URLSearchParams"],
  ...["Blob", "FormData", "Headers", "Request", "Response", "RequestInit", "ResponseInit", "HeadersInit", "BodyInit"],
  ...["ReadableStream", "TransformStream", "WritableStream", "ReadableStreamDefaultReader"],
  ...["ReadableStreamDefaultController", "ReadableByteStreamController", "QueuingStrategy"],
  ...["WritableStreamDefaultWriter", "UnderlyingSource", "UnderlyingByteSource", "queueMicrotask", "structuredClone"],
];

export default tseslint.config(
  { ignores: ["**/dist/**", "**/node_modules/**", "**/.tesserae/**", "coverage/**", "test/fixtures/**", "out/**"] },
  eslint.configs.recommended,
  ...tseslint.configs.strictTypeChecked,
  {
    languageOptions: {
      parserOptions: {
        project: ["./tsconfig.lint.json"],
        tsconfigRootDir: import.meta.dirname,
      },
    },
    linterOptions: { reportUnusedDisableDirectives: "error" },
    plugins: { architecture },
    rules: {
      "architecture/imports": "error",
      "architecture/explained-assertion": "error",
      "architecture/file-names": "error",
      "max-lines": ["error", { max: 700, skipBlankLines: true, skipComments: true }],
      eqeqeq: "error",
      "no-console": "error",
      "no-eval": "error",
      "no-new-func": "error",
      "prefer-const": "error",
      "@typescript-eslint/consistent-type-imports": "error",
      "@typescript-eslint/explicit-module-boundary-types": "error",
      "@typescript-eslint/no-confusing-void-expression": ["error", { ignoreArrowShorthand: true }],
      "@typescript-eslint/no-unused-vars": ["error", { argsIgnorePattern: "^_" }],
      "@typescript-eslint/restrict-template-expressions": ["error", { allowNumber: true }],
      "@typescript-eslint/switch-exhaustiveness-check": ["error", { considerDefaultExhaustiveForUnions: true }],
      "@typescript-eslint/no-unnecessary-condition": ["error", { allowConstantLoopConditions: true }],
    },
  },
  {
    files: ["lib/**/*.ts"],
    ignores: ["**/*.test.ts", "**/*.fuzz.ts"],
    languageOptions: {
      globals: { ...globals.es2025, ...Object.fromEntries(portableGlobals.map((name) => [name, "readonly"])) },
    },
    rules: {
      "no-undef": "error",
      "architecture/no-ambient": "error",
    },
  },
  {
    files: ["**/*.test.ts", "**/*.fuzz.ts", "test/**", "examples/**", "bench/**"],
    rules: {
      "@typescript-eslint/no-non-null-assertion": "off",
      "@typescript-eslint/explicit-module-boundary-types": "off",
      "@typescript-eslint/require-await": "off",
      "no-console": "off",
    },
  },
  {
    files: ["scripts/**", "bench/**", "test/**", "tool/cli/**", "eslint.config.mjs", "tool/lint/**"],
    languageOptions: { globals: globals.node },
    rules: { "no-console": "off" },
  },
  {
    // A configuration file's default export is its interface to the tool that reads it.
    files: ["*.config.ts", "eslint.config.mjs"],
    rules: { "architecture/imports": "off" },
  },
  {
    files: ["**/*.mjs", "**/bin/*.js"],
    extends: [tseslint.configs.disableTypeChecked],
    rules: { "@typescript-eslint/explicit-module-boundary-types": "off" },
  },
);
