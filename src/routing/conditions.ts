import type { Conditions } from '../config/model.ts'
import type { RequestFacts } from '../http/request.ts'
import { parameter } from './query.ts'

/** Throws ERR_BAD_REQUEST when applications may see another value than this. */
export function meets(conditions: Conditions | undefined, { method, headers, query }: RequestFacts): boolean {
  if (conditions === undefined) return true
  if (conditions.methods?.includes(method) === false) return false
  return (
    conditions.headers.every(({ name, test }) => passes(test, headers.get(name))) &&
    conditions.query.every(({ name, test }) => passes(test, parameter(query, name)))
  )
}

function passes(test: (value: string) => boolean, value: string | undefined): boolean {
  return value !== undefined && test(value)
}
