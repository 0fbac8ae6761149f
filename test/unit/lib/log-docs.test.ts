import { execFileSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { expect, test } from 'vitest'
import { AUDIT_EVENTS } from '../../../src/lib/audit-events.ts'
import { LOG_GROUPS } from '../../../src/lib/log-fields.ts'
import { unknownLines } from '../../support/log-lines.ts'

const root = new URL('../../../', import.meta.url)
const read = (path: string): string => readFileSync(new URL(path, root), 'utf8')

function generated(name: string): string {
  return execFileSync(process.execPath, ['scripts/log-docs.mjs', '--print', name], { cwd: root, encoding: 'utf8' })
}

test('docs/log.md has the fields of lib/log-fields.ts, and a line that has no other (npm run docs)', () => {
  const fresh = generated('log')
  expect(read('docs/log.md')).toBe(fresh)
  const names = Object.values(LOG_GROUPS).flatMap((fields) => Object.keys(fields))
  expect(new Set(names).size).toBe(names.length)
  for (const name of names) expect(fresh).toContain(`| \`${name}\` |`)
  const shown = [...fresh.matchAll(/```json\n(.*?)\n```/gs)].map(([, lines = '']) => lines)
  expect(shown).toHaveLength(1)
  expect(unknownLines(shown.join('\n'))).toEqual([])
})

test('docs/audit.md has the events of lib/audit-events.ts, and lines that are such events (npm run docs)', () => {
  const fresh = generated('audit')
  expect(read('docs/audit.md')).toBe(fresh)
  for (const event of Object.keys(AUDIT_EVENTS)) expect(fresh).toContain(`| \`${event}\` |`)
  const shown = [...fresh.matchAll(/```json\n(.*?)\n```/gs)].map(([, lines = '']) => lines)
  expect(shown).toHaveLength(1)
  expect(unknownLines(shown.join('\n'))).toEqual([])
})
