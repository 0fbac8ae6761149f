import {
  Authenticated,
  type DataProvider,
  Refine,
  useGetIdentity,
  useList,
  useLogout,
  usePermissions,
} from '@refinedev/core'
import { createRoot } from 'react-dom/client'
import { authProvider } from './auth-provider.ts'

/** What an application calls its API with: an answer that is no success is an error with the status in `statusCode`. */
async function call(path: string): Promise<unknown> {
  const response = await fetch(path, { headers: { accept: 'application/json' } })
  if (!response.ok) throw Object.assign(new Error(`${path}: ${response.status}`), { statusCode: response.status })
  return response.json()
}

const unsupported = (): never => {
  throw new Error('the example only lists')
}
const dataProvider = {
  getList: async ({ resource }: { readonly resource: string }) => {
    const data = (await call(`/${resource}.json`)) as never[]
    return { data, total: data.length }
  },
  getOne: unsupported,
  create: unsupported,
  update: unsupported,
  deleteOne: unsupported,
  getApiUrl: () => '/',
} satisfies DataProvider

function App() {
  const { data: me } = useGetIdentity<{ readonly name: string; readonly email?: string }>()
  const { data: groups } = usePermissions<readonly string[] | null>({})
  const { mutate: logout } = useLogout()
  const { result, query } = useList<{ readonly id: number; readonly title: string }>({
    resource: 'articles',
    queryOptions: { retry: false },
  })
  return (
    <main>
      <h1>{me ? me.name : '…'}</h1>
      <p>
        <output id="email">{me?.email}</output> <output id="groups">{groups?.join(', ')}</output>
      </p>
      <ul>
        {result.data.map(({ id, title }) => (
          <li key={id}>{title}</li>
        ))}
      </ul>
      <button type="button" onClick={() => void query.refetch()}>
        Reload articles
      </button>{' '}
      <button type="button" onClick={() => logout()}>
        Sign out
      </button>
    </main>
  )
}

const root = document.getElementById('root')
if (root) {
  createRoot(root).render(
    <Refine authProvider={authProvider} dataProvider={dataProvider} options={{ disableTelemetry: true }}>
      <Authenticated key="app" loading="…">
        <App />
      </Authenticated>
    </Refine>,
  )
}
