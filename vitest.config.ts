import { defineConfig } from "vitest/config";

// Tests import the TypeScript sources of the other packages, not what was built of them.
const conditions = ["tesserae-source", "node", "import", "default"];

export default defineConfig({
  resolve: { conditions },
  ssr: { resolve: { conditions } },
  test: {
    include: ["{lib,targets,tool,examples,bench,test}/**/*.test.ts"],
    exclude: ["**/node_modules/**", "**/dist/**", "**/.tesserae/**"],
    testTimeout: 30_000,
    hookTimeout: 60_000,
    maxWorkers: 2,
    coverage: {
      provider: "v8",
      include: ["lib/**/*.ts", "targets/**/*.ts", "tool/**/*.ts"],
      exclude: ["**/*.test.ts", "**/*.fuzz.ts", "**/dist/**"],
    },
  },
});
