import { readFileSync } from 'node:fs'
import type { Command } from 'commander'
import { describe, expect, test } from 'vitest'
import { createProgram } from '../../../cmd/postern/cli.ts'
import { parsePolicyTests } from '../../../src/config/policy-tests.ts'

const text = readFileSync(new URL('../../../docs/cli.md', import.meta.url), 'utf8')
const program = createProgram({ out() {}, err() {} }, () => {})

/** Commands that do something, by their words: `sessions list`. */
function leaves(command: Command, words: readonly string[] = []): readonly (readonly [string, Command])[] {
  return command.commands.flatMap((child) => {
    const name = [...words, child.name()]
    return child.commands.length > 0 ? leaves(child, name) : [[name.join(' '), child] as const]
  })
}
const commands = new Map(leaves(program))

/** Command → its section of the page. */
const sections = new Map(
  text
    .split(/^## postern /m)
    .slice(1)
    .map((section) => [section.slice(0, section.indexOf('\n')), section] as const),
)

describe('docs/cli.md', () => {
  test('has a section for each command, and for no other', () => {
    expect(commands.size).toBeGreaterThan(10)
    expect([...sections.keys()].toSorted()).toEqual([...commands.keys()].toSorted())
  })

  test.each([...commands])('shows every option of %s, and an example', (name, command) => {
    const section = sections.get(name) ?? ''
    for (const { long } of command.options) expect(section).toContain(long)
    expect(section).toMatch(new RegExp(`^postern ${name}`, 'm'))
  })

  test.each([...commands])('the help of %s has no default that says nothing', (_name, command) => {
    expect(command.helpInformation()).not.toContain('(default: [])')
  })

  test('its examples use commands and options that exist', () => {
    const examples = [...text.matchAll(/^postern (.+)$/gm)].map(([, line = '']) => line)
    expect(examples.length).toBeGreaterThan(15)
    for (const line of examples) {
      const name = [...commands.keys()].find((words) => `${line} `.startsWith(`${words} `))
      expect([line, name !== undefined]).toEqual([line, true])
      const known = commands.get(name ?? '')?.options.map(({ long }) => long) ?? []
      const used = [...line.matchAll(/ (--[a-z-]+)/g)].map(([, option]) => option)
      for (const option of used) expect([line, known]).toEqual([line, expect.arrayContaining([option])])
    }
  })

  test('its table of policy tests can be run', () => {
    const table = /```yaml[^\n]*\n(cases:.*?)```/s.exec(text)?.[1] ?? ''
    expect(parsePolicyTests(table, 'cli.md')).toMatchObject({ kind: 'ok', cases: { length: 8 } })
  })
})
