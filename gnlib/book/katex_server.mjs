// Draws formulas: reads {"tex", "display"} as JSON lines, writes {"html", "warnings"} or {"error", "warnings"}.
// The first line is the configuration, {"macros": {...}}; its answer is {"version"}.
import { createRequire } from "node:module";
import { createInterface } from "node:readline";

const katex = createRequire(process.argv[2])("katex"); // argv[2]: a file in the folder whose node_modules holds katex
const say = (answer) => process.stdout.write(JSON.stringify(answer) + "\n");

let macros = null;
for await (const line of createInterface({ input: process.stdin })) {
  const question = JSON.parse(line);
  if (!macros) {
    macros = question.macros;
    say({ version: katex.version });
    continue;
  }
  const warnings = [];
  try {
    const html = katex.renderToString(question.tex, {
      displayMode: question.display,
      output: "htmlAndMathml", // HTML for the eye, MathML for the ear
      throwOnError: true,
      trust: false,
      macros: { ...macros }, // a copy: \gdef in one formula must not reach the next
      strict: (code, message) => {
        if (code !== "unicodeTextInMathMode") warnings.push(`${code}: ${message}`);
        return "ignore";
      },
    });
    say({ html, warnings });
  } catch (error) {
    say({ error: error.message, warnings });
  }
}
