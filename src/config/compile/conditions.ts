import { isForeign } from '../../lib/foreign-headers.ts'
import { normalName, unbelievableHeader } from '../../lib/header-names.ts'
import { ALLOWED_METHODS } from '../../routing/target.ts'
import { compileRegex } from '../../routing/regex.ts'
import type { Path, Report } from '../issues.ts'
import type { Condition, Conditions } from '../route-model.ts'
import type { RouteInput } from '../schema/route.ts'
import { HEADER_NAME } from './headers.ts'

/**
 * `methods`, `headers` and `query` of a route; undefined when none is written.
 * @param identity normal names of the headers that say who is signed in.
 */
export function compileConditions(
  input: RouteInput,
  path: Path,
  identity: ReadonlySet<string>,
  report: Report,
): Conditions | undefined {
  const { methods } = input
  for (const [i, method] of (methods ?? []).entries()) {
    const upper = method.toUpperCase()
    if (ALLOWED_METHODS.has(method)) continue
    report.error(
      [...path, 'methods', i],
      ALLOWED_METHODS.has(upper) ? `write ${upper}` : `expected a method such as GET, found ${JSON.stringify(method)}`,
    )
  }
  const headers = conditions(input.headers, [...path, 'headers'], report, (name) => {
    const normal = normalName(name)
    if (!HEADER_NAME.test(name)) return 'expected a header name'
    if (normal === 'cookie') return 'rules do not see cookies'
    return unbelievableHeader(normal, identity) ?? (isForeign(normal) ? 'this header is removed' : undefined)
  })
  const query = conditions(input.query, [...path, 'query'], report, () => undefined)
  if (methods === undefined && headers.length === 0 && query.length === 0) return undefined
  return {
    ...(methods !== undefined && { methods }),
    headers: headers.map((condition) => ({ ...condition, name: condition.name.toLowerCase() })),
    query,
  }
}

function conditions(
  written: RouteInput['headers'],
  path: Path,
  report: Report,
  problemOf: (name: string) => string | undefined,
): readonly Condition[] {
  return Object.entries(written).flatMap(([name, value]): readonly Condition[] => {
    const problem = problemOf(name)
    if (problem !== undefined) {
      report.error([...path, name], problem)
      return []
    }
    if (typeof value === 'string') return [{ name, source: JSON.stringify(value), test: (found) => found === value }]
    const regex = compileRegex(value.regex)
    if (!('problem' in regex)) return [{ name, source: `/${value.regex}/`, test: regex.test }]
    report.error([...path, name, 'regex'], `expected an RE2 expression: ${regex.problem}`)
    return []
  })
}
