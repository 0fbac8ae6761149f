import { assertNever } from '../../errors.ts'
import type { Membership } from '../../directory/model.ts'
import { every, invalid, isMap, type ListCondition, parseListMatcher } from '../matchers.ts'
import { EVERYONE, groupKey } from '../membership.ts'
import { ANYBODY } from './authenticated-user.ts'
import type { CriterionRow } from '../row.ts'

/**
 * Group membership as the directory sees it. A value that looks like an Okta group id is the id, any
 * other value the name of a group that was not imported. `Everyone` is any active user, so it does
 * not count where `is` counts: `is: A` means A and no other group, `is: Everyone` none at all.
 */
export const groups: CriterionRow = {
  needs: 'groups',
  ok: 'groups-ok',
  no: 'groups-unauthorized',
  compile(data) {
    const matcher = parseListMatcher(data)
    if (matcher.kind === 'invalid') return matcher
    const tests: ((membership: Membership) => boolean)[] = []
    const wantedGroups: string[] = []
    const namedGroups: string[] = []
    for (const { operator, value } of matcher.conditions) {
      const problem = typeof value !== 'string' ? NOT_A_NAME : value === '*' ? `no group is "*"; ${ANYBODY}` : undefined
      if (typeof value !== 'string' || problem !== undefined)
        return invalid(problem ?? '', ...(isMap(data) ? [operator] : []))
      namedGroups.push(value)
      tests.push(membershipTest(operator, value))
      if (operator !== 'exclude') wantedGroups.push(value)
    }
    const test = every(tests)
    return {
      kind: 'ok',
      test: ({ who }) => who !== undefined && who.membership !== 'unknown' && test(who.membership),
      describe: matcher.describe,
      wantedGroups,
      namedGroups,
      // `Everyone` does not count where `is` counts, so it goes together with everything.
      warnings: namedGroups.includes(EVERYONE) ? [] : matcher.warnings,
    }
  },
}

const NOT_A_NAME = 'expected the name or id of a group; quote it if it looks like a number'

function membershipTest(operator: ListCondition['operator'], value: string): (membership: Membership) => boolean {
  const key = groupKey(value)
  switch (operator) {
    case 'has':
      return ({ keys }) => keys.has(key)
    case 'exclude':
      return ({ keys }) => !keys.has(key)
    case 'is': {
      const others = value === EVERYONE ? 0 : 1
      return (membership) => membership.keys.has(key) && countBesideEveryone(membership) === others
    }
    default:
      return assertNever(operator)
  }
}

/** An imported group may call itself Everyone; it is a group like any other. */
function countBesideEveryone({ groups }: Membership): number {
  const ids = new Set<string>()
  for (const { id, name, type } of groups) if (name !== EVERYONE || type === 'APP_GROUP') ids.add(id)
  return ids.size
}
