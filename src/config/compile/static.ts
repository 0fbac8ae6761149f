import { parse } from 'yaml'
import { messageOf } from '../../errors.ts'
import { namedGroups } from '../../policy/explain.ts'
import { EVERYONE } from '../../policy/membership.ts'
import { nearest } from '../../policy/nearest.ts'
import type { StaticPerson } from '../model.ts'
import type { CompiledProvider } from './provider-settings.ts'
import type { Route } from '../route-model.ts'
import type { Path, Report } from '../issues.ts'
import { type StaticInput, staticSchema } from '../schema/directory.ts'

/** People that were written down: a map, or YAML text of it from a file. */
export function compileStatic(
  written: string | StaticInput,
  path: Path,
  report: Report,
): readonly StaticPerson[] | undefined {
  const input = typeof written === 'string' ? fromText(written, path, report) : written
  if (!input) return undefined
  const seen = new Set<string>()
  for (const [i, { id }] of input.users.entries()) {
    if (seen.has(id)) report.error(path, `users[${i}].id: ${JSON.stringify(id)} is listed twice`)
    seen.add(id)
  }
  return input.users.map(({ id, status, groups }) => ({ id, status, groups }))
}

function fromText(text: string, path: Path, report: Report): StaticInput | undefined {
  let value: unknown
  try {
    value = parse(text)
  } catch (error) {
    report.error(path, `expected YAML: ${messageOf(error).split('\n')[0]}`)
    return undefined
  }
  const result = staticSchema.safeParse(value)
  if (result.success) return result.data
  for (const { path: inside, message } of result.error.issues) {
    const place = inside.map((part) => (typeof part === 'number' ? `[${part}]` : `.${String(part)}`)).join('')
    report.error(path, `${place.replace(/^\./, '') || 'it'}: expected ${message}`)
  }
  return undefined
}

/** Where nothing but this list is read, a group that it does not name has nobody in it. */
export function warnOfUnknownGroups(
  [only]: readonly CompiledProvider[],
  routes: readonly Route[],
  report: Report,
): void {
  const { people, order = [] } = only?.directory ?? {}
  if (!only || !people || order.length > 1) return
  const path = [...only.written.directory.path, 'static']
  const known = new Set([EVERYONE, ...people.flatMap(({ groups }) => groups)])
  const told = new Set<string>()
  for (const route of routes) {
    for (const name of namedGroups(route)) {
      if (known.has(name) || told.has(name)) continue
      told.add(name)
      const meant = nearest(name, known)
      const hint = meant === undefined ? '' : `; did you mean ${JSON.stringify(meant)}?`
      report.warning(
        path,
        `nobody is in the group ${JSON.stringify(name)}, which rules name (first ${route.definedAt})${hint}`,
      )
    }
  }
}
