/** Prints what `.ci/run` needs of a JSON report of vitest: how many passed, failed, were skipped; then each file that failed. */
import { readFileSync } from 'node:fs'

const report = JSON.parse(readFileSync(process.argv[2], 'utf8'))
console.log(report.numPassedTests)
console.log(report.numFailedTests)
console.log(report.numPendingTests + report.numTodoTests)
for (const file of report.testResults) if (file.status === 'failed') console.log(file.name)
