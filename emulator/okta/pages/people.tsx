import type { VNode } from 'preact'
import type { Org } from '../model/org.ts'
import type { OrgGroup, Person } from '../model/types.ts'
import { Act, AddForm, Toggle } from './act.tsx'

/** People of a big org, and its groups, are cut to this many. */
export const PEOPLE_SHOWN = 100
const GROUPS_SHOWN = 40

const STATUS_ACTIONS = {
  ACTIVE: [
    ['Suspend', 'SUSPENDED'],
    ['Deactivate', 'DEPROVISIONED'],
  ],
  SUSPENDED: [
    ['Unsuspend', 'ACTIVE'],
    ['Deactivate', 'DEPROVISIONED'],
  ],
  OTHER: [['Activate', 'ACTIVE']],
} as const

/** People with status and groups, each of which one click changes. */
export function People({ org }: { readonly org: Org }): VNode {
  const people = org.people.slice(undefined, PEOPLE_SHOWN).toSorted((a, b) => (a.login < b.login ? -1 : 1))
  const groups = org.groups
    .slice(undefined, GROUPS_SHOWN)
    .filter((group) => group.type !== 'BUILT_IN')
    .toSorted((a, b) => (a.name < b.name ? -1 : 1))
  return (
    <section>
      <h2>People</h2>
      <p class="soft small">
        {people.length < org.people.size ? `${people.length} of ${org.people.size}. ` : ''}A change of status never
        changes groups, as at Okta.
      </p>
      <ul class="rows">
        {people.map((person) => (
          <PersonRow person={person} groups={groups} org={org} key={person.id} />
        ))}
      </ul>
      <div class="adding">
        <AddForm to="people" name="login" label="Login of a new person" />
        <AddForm to="groups" name="name" label="Name of a new group" />
      </div>
    </section>
  )
}

function PersonRow(props: { readonly person: Person; readonly groups: readonly OrgGroup[]; readonly org: Org }): VNode {
  const { person, groups, org } = props
  const mine = new Set(org.groupsOf(person.id).map((group) => group.id))
  const actions = STATUS_ACTIONS[person.status === 'ACTIVE' || person.status === 'SUSPENDED' ? person.status : 'OTHER']
  return (
    <li>
      <div>
        <h3>
          {person.firstName} {person.lastName}
        </h3>
        <p class="small">{person.login}</p>
        <p class="soft small">
          <code>{person.id}</code>
        </p>
      </div>
      <div class="status">
        <span class={`pill ${person.status}`}>{person.status}</span>
        {actions.map(([label, status]) => (
          <Act to="status" fields={{ user: person.id, status }} label={label} about={person.login} key={label} />
        ))}
      </div>
      <div class="chips">
        <span class="fixed">Everyone</span>
        {groups.map((group) => {
          const member = mine.has(group.id)
          return (
            <Toggle
              to="memberships"
              fields={{ group: group.id, user: person.id, member: String(!member) }}
              on={member}
              name={group.name}
              verb={member ? 'Remove from' : 'Add to'}
              about={person.login}
              key={group.id}
            />
          )
        })}
      </div>
    </li>
  )
}
