import type { VNode } from 'preact'
import type { Org } from '../model/org.ts'
import type { OrgApp } from '../model/types.ts'
import { Toggle } from './act.tsx'
import { PEOPLE_SHOWN } from './people.tsx'

/** The org's applications and who may sign in to them. */
export function Applications({ org }: { readonly org: Org }): VNode {
  return (
    <section>
      <h2>Applications</h2>
      <p class="soft small">
        Only people to whom an application is assigned, directly or through a group, may sign in to it.
      </p>
      <ul class="rows">
        {org.apps.slice(undefined, PEOPLE_SHOWN).map((app) => (
          <AppRow app={app} org={org} key={app.id} />
        ))}
      </ul>
    </section>
  )
}

function AppRow({ app, org }: { readonly app: OrgApp; readonly org: Org }): VNode {
  const assigned = new Set(org.assignments(app.id).map(({ id }) => id))
  const groups = org.groups.slice(undefined, PEOPLE_SHOWN)
  const people = org.people.slice(undefined, PEOPLE_SHOWN).filter((person) => assigned.has(person.id))
  const assignees = [
    ...groups.map(({ id, name }) => ({ id, name })),
    ...people.map(({ id, login }) => ({ id, name: login })),
  ]
  return (
    <li>
      <div>
        <h3>{app.label}</h3>
        <p class="soft small">
          <code>{app.id}</code>
        </p>
      </div>
      <div class="small">
        {app.redirectUris.map((uri) => (
          <p key={uri}>
            <code>{uri}</code>
          </p>
        ))}
      </div>
      <div class="chips">
        {assignees.map(({ id, name }) => {
          const on = assigned.has(id)
          return (
            <Toggle
              to="assignments"
              fields={{ app: app.id, to: id, assigned: String(!on) }}
              on={on}
              name={name}
              verb={on ? 'Unassign' : 'Assign'}
              about={app.label}
              key={id}
            />
          )
        })}
      </div>
    </li>
  )
}
