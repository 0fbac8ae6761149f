import type { Json, JsonObject } from '../types.ts'
import { isMap } from './matchers.ts'

/** Pomerium looks no deeper. */
const MAX_DEPTH = 5

/**
 * Finds the claim at a path, which is first the whole name of a claim (`https://corp.example/roles`), else a way through
 * objects, split on `/` and `.` (`realm_access.roles`). Only own properties are looked at: a claim called `constructor`
 * does not exist unless the provider sent it.
 */
export function compileClaimPath(path: string): (claims: JsonObject) => Json | undefined {
  const segments = splitPath(path)
  return (claims) => {
    if (Object.hasOwn(claims, path)) return claims[path]
    if (segments.length > MAX_DEPTH) return undefined
    let value: Json | undefined = claims
    for (const segment of segments) {
      if (!isMap(value) || !Object.hasOwn(value, segment)) return undefined
      value = value[segment]
    }
    return value
  }
}

/** Do two paths lead to the same claim? */
export function isSameClaim(one: string, other: string): boolean {
  return splitPath(one).join('.') === splitPath(other).join('.')
}

function splitPath(path: string): readonly string[] {
  return path.split(/[/.]/)
}
