/** Values from outside are judged by JSON Schema (draft 07) before they are believed. */
import { createRequire } from 'node:module'
import type * as AjvModule from 'ajv'
import type { ErrorObject, SchemaObject, ValidateFunction } from 'ajv'

/** Has a value the form that the schema describes? */
export interface Validator<T> {
  (value: unknown): value is T
  /** What the last value that was refused lacks. */
  firstError(): Pick<ErrorObject, 'instancePath' | 'message'> | undefined
}

/** Compiled with the first value: most processes never meet one of most schemas, and compiling one takes milliseconds. */
export function validator<T>(schema: SchemaObject): Validator<T> {
  let validate: ValidateFunction<T> | undefined
  const is = (value: unknown): value is T => (validate ??= ajv().compile<T>(schema))(value)
  return Object.assign(is, { firstError: () => validate?.errors?.[0] })
}

let shared: AjvModule.Ajv | undefined

function ajv(): AjvModule.Ajv {
  if (shared) return shared
  const require = createRequire(import.meta.url)
  const { Ajv } = require('ajv') as typeof AjvModule
  // Unknown keywords are faults of ours; pairs that may be triples and values of several types are not.
  // To compile the schema of schemas takes longer than ours do, which are refused without it, too, when they are nonsense.
  const judging = { meta: false, validateSchema: false }
  shared = new Ajv({ strictTypes: true, allowUnionTypes: true, strictTuples: false, ...judging })
  return shared
}
