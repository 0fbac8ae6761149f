import type { Conditions } from '../config/route-model.ts'
import type { RequestFacts } from '../http/request.ts'
import { parameter } from './query.ts'

/** Throws ERR_BAD_REQUEST when applications may see another value than this. */
export function meets(conditions: Conditions | undefined, request: RequestFacts): boolean {
  return conditions === undefined || unmet(conditions, request) === undefined
}

function passes(test: (value: string) => boolean, value: string | undefined): boolean {
  return value !== undefined && test(value)
}

/** The first condition that a request does not meet; undefined: it meets them all. */
export function unmet(
  conditions: Conditions | undefined,
  { method, headers, query }: RequestFacts,
): string | undefined {
  if (conditions === undefined) return undefined
  const { methods } = conditions
  if (methods?.includes(method) === false) return `it serves ${methods.join(', ')}, and the request is ${method}`
  const header = conditions.headers.find(({ name, test }) => !passes(test, headers.get(name)))
  if (header) return `it wants the header ${header.name} to be ${header.source}`
  const parameterOf = conditions.query.find(({ name, test }) => !passes(test, parameter(query, name)))
  return parameterOf && `it wants the parameter ${parameterOf.name} to be ${parameterOf.source}`
}
