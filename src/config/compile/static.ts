import { parse } from 'yaml'
import { messageOf } from '../../errors.ts'
import type { StaticPerson } from '../model.ts'
import type { Report } from '../issues.ts'
import { type StaticInput, staticSchema } from '../schema.ts'

const PATH = ['directory', 'static']

/** People that were written down: a map, or YAML text of it from a file. */
export function compileStatic(written: string | StaticInput, report: Report): readonly StaticPerson[] | undefined {
  const input = typeof written === 'string' ? fromText(written, report) : written
  if (!input) return undefined
  const seen = new Set<string>()
  for (const [i, { id }] of input.users.entries()) {
    if (seen.has(id)) report.error(PATH, `users[${i}].id: ${JSON.stringify(id)} is listed twice`)
    seen.add(id)
  }
  return input.users.map(({ id, status, groups }) => ({ id, status, groups }))
}

function fromText(text: string, report: Report): StaticInput | undefined {
  let value: unknown
  try {
    value = parse(text)
  } catch (error) {
    report.error(PATH, `expected YAML: ${messageOf(error).split('\n')[0]}`)
    return undefined
  }
  const result = staticSchema.safeParse(value)
  if (result.success) return result.data
  for (const { path, message } of result.error.issues) {
    const place = path.map((part) => (typeof part === 'number' ? `[${part}]` : `.${String(part)}`)).join('')
    report.error(PATH, `${place.replace(/^\./, '') || 'it'}: expected ${message}`)
  }
  return undefined
}
