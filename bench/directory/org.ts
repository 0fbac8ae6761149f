import { demoSeed } from '../../emulator/okta/demo-seed.ts'
import { generated, generatedSeed, ORG_SIZES } from '../../emulator/okta/generate.ts'

export type SizeName = keyof typeof ORG_SIZES

/** One generated person, as the emulator plants them. */
export interface Person {
  readonly id: string
  readonly login: string
  /** Ids; `Everyone` is not among them. */
  readonly groups: readonly string[]
}

export interface Org {
  readonly size: SizeName
  /** Active, in the order of their numbers, as many as were asked for. */
  readonly people: readonly Person[]
  /** Active people beyond those: nobody knows them before they sign in. */
  readonly strangers: readonly Person[]
  /** Ids of the groups that policies name: 50 of a few hundred members in the largest org. */
  readonly policyGroups: readonly string[]
}

const POLICY_GROUPS = 50

/** The org that `emulator/okta/main.js --size` plants, seen from outside: the generator gives the same one each time. */
export function orgOf(size: SizeName, live: number, strangers = 0): Org {
  const { groups } = ORG_SIZES[size]
  const active: Person[] = []
  for (const { id = '', login, status, groups: memberOf = [] } of generatedSeed(size).people ?? []) {
    if (active.length >= live + strangers) break
    if (status === 'ACTIVE' && id.startsWith('00ugen')) active.push({ id, login, groups: memberOf })
  }
  const policyGroups: string[] = []
  // Low numbers have the most members; every tenth is imported, and its name counts for nothing.
  for (let number = Math.floor(groups / 4); policyGroups.length < POLICY_GROUPS && number < groups; number++) {
    if (number % 10 !== 9) policyGroups.push(generated.groupId(number))
  }
  return { size, people: active.slice(0, live), strangers: active.slice(live), policyGroups }
}

/** The demo's ids and secrets are those of the generated orgs, too. */
export const BASE = demoSeed()

export function groupName(id: string): string {
  return generated.groupName(Number(id.slice('00ggen'.length)))
}
