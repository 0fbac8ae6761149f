import { configDefaults, defineConfig } from 'vitest/config'

/** Files of `npm run test:long`: whole programs, browsers, images, outages. All others are of `npm test`. */
const LONG = ['test/**/*.long.test.ts', 'e2e/**/*.long.test.ts']
/** Files of `npm run test:apps`: real applications and clients, installed from their registries. */
const APPS = ['test/apps/*.test.ts']

export default defineConfig({
  oxc: { jsx: { runtime: 'automatic', importSource: 'preact' } },
  test: {
    // Timeouts end what hangs. They do not measure the machine, which may be busy.
    testTimeout: 120_000,
    hookTimeout: 120_000,
    expect: { poll: { timeout: 60_000, interval: 10 } },
    setupFiles: ['test/support/watchdog.ts'],
    pool: 'forks',
    maxWorkers: 2,
    // `npx vitest run FILE` finds the file in each.
    projects: [
      {
        extends: true,
        test: {
          name: 'quick',
          include: ['test/**/*.test.ts', 'test/**/*.test.tsx', 'e2e/**/*.test.ts'],
          exclude: [...configDefaults.exclude, ...LONG, ...APPS],
        },
      },
      { extends: true, test: { name: 'long', include: LONG } },
      { extends: true, test: { name: 'apps', include: APPS } },
    ],
  },
})
