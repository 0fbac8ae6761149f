import { createInterface } from 'node:readline'
import type { Readable, Writable } from 'node:stream'
import { AppError } from '../../src/errors.ts'

/** Asks a person at a terminal, or reads one answer a line from a pipe. */
export interface Questions {
  /** @param fallback what an empty line means. Rejects ERR_USAGE when the input ends. */
  ask(question: string, fallback?: string): Promise<string>
  say(line: string): void
  close(): void
}

export function createQuestions(input: Readable, output: Writable): Questions {
  const reader = createInterface({ input, output, terminal: 'isTTY' in output && output.isTTY === true })
  // Ctrl-C at a terminal: no answer will come.
  reader.once('SIGINT', () => reader.close())
  // Lines of a pipe may come before they are asked for; the iterator keeps them.
  const lines = reader[Symbol.asyncIterator]()
  return {
    async ask(question, fallback) {
      reader.setPrompt(`${question}${fallback === undefined ? '' : ` [${fallback}]`}: `)
      reader.prompt()
      const { value, done = false } = (await lines.next()) as IteratorResult<string, undefined>
      if (done || value === undefined)
        throw new AppError('ERR_USAGE', `the input ended before the answer to: ${question}`)
      return value.trim() || (fallback ?? '')
    },
    say: (line) => void output.write(`${line}\n`),
    close: () => reader.close(),
  }
}
