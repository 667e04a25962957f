import assert from 'node:assert/strict';
import { test } from 'node:test';

import { asCurves, asDetails, asPanel, MAX_CHARACTERS } from './guards.js';
import type { ISnapshot } from './types.js';

const SERIES = {
  name: 'val_loss',
  role: 'val',
  count: 3,
  last: 0.2,
  steps: '0,1,2',
  values: '0.5,,0.2',
  lows: '0.4,,0.1',
  highs: '0.6,,0.3'
};
const RUN = {
  schema: 1,
  as_of: 12.5,
  run: 'key',
  ref: 'digits-k3f9',
  kernel: 'kernel',
  status: 'running',
  message: 'a word',
  ended_with: 'NaN',
  duration_s: 65,
  data: '320 rows',
  tags: ['a', 'b'],
  status_line: [['', '7 of 30 epochs', 'epochs']],
  status_text: 'validating',
  status_text_later: 'was running at noon',
  notices: [['warning', 'careful']],
  progress: { stage: 'training', epoch: 7, epochs: 30, step: 70, steps: 300, trial: 1, trials: 2 },
  resources: { cpu_percent: '1,2', memory_gb: '3', gpu_percent: '4', gpu_memory_gb: '5' },
  best: { metric: 'val_loss', value: 0.2, epoch: 6, step: 60, trial: 1, std: 0.1 },
  families: [{ name: 'loss', series: [SERIES] }],
  marks: [{ step: 5, label: 'pause' }],
  media: [{ name: 'image', step: 3, caption: 'x', thumbnail: 'data:image/png;base64,AA==' }],
  study: { objectives: [{ metric: 'val_loss', mode: 'min' }], numbers: '0' }
};
const EXPECTED: ISnapshot = {
  run: 'key',
  ref: 'digits-k3f9',
  kernel: 'kernel',
  status: 'running',
  message: 'a word',
  endedWith: 'NaN',
  asOf: 12.5,
  durationSeconds: 65,
  data: '320 rows',
  tags: ['a', 'b'],
  statusLine: [{ label: '', value: '7 of 30 epochs', kind: 'epochs' }],
  statusText: 'validating',
  statusTextLater: 'was running at noon',
  notices: [['warning', 'careful']],
  progress: { stage: 'training', epoch: 7, epochs: 30, step: 70, steps: 300, trial: 1, trials: 2 },
  resources: { cpuPercent: [1, 2], memoryGb: [3], gpuPercent: [4], gpuMemoryGb: [5] },
  best: { metric: 'val_loss', value: 0.2, epoch: 6, step: 60, trial: 1, std: 0.1 },
  metricGroups: [
    {
      name: 'loss',
      series: [
        {
          name: 'val_loss',
          role: 'val',
          isRate: false,
          count: 3,
          last: 0.2,
          steps: [0, 1, 2],
          values: [0.5, null, 0.2],
          lows: [0.4, null, 0.1],
          highs: [0.6, null, 0.3]
        }
      ]
    }
  ],
  marks: [{ step: 5, label: 'pause' }],
  media: [{ name: 'image', step: 3, caption: 'x', thumbnail: 'data:image/png;base64,AA==' }],
  study: {
    objectives: [{ metric: 'val_loss', mode: 'min' }],
    numbers: [0],
    states: ['failed'],
    values: [[null]],
    seconds: [null],
    runs: [''],
    params: [],
    paramCount: 0,
    curves: [],
    importance: [],
    front: []
  }
};
/** Each field of a snapshot as it is read where it is missing or of the wrong type. */
const EMPTY: Record<string, Partial<ISnapshot>> = {
  run: { run: '' },
  ref: { ref: '' },
  kernel: { kernel: '' },
  message: { message: '' },
  ended_with: { endedWith: '' },
  as_of: { asOf: 0 },
  duration_s: { durationSeconds: null },
  data: { data: '' },
  tags: { tags: [] },
  status_line: { statusLine: [] },
  status_text: { statusText: 'running' },
  status_text_later: { statusTextLater: 'was running' },
  progress: {
    progress: {
      stage: '',
      epoch: null,
      epochs: null,
      step: null,
      steps: null,
      trial: null,
      trials: null
    }
  },
  resources: { resources: { cpuPercent: [], memoryGb: [], gpuPercent: [], gpuMemoryGb: [] } },
  best: { best: null },
  families: { metricGroups: [] },
  marks: { marks: [] },
  media: { media: [] },
  study: { study: null }
};

function snapshotOf(data: unknown): ISnapshot {
  const content = asPanel(data);
  if (content.kind !== 'run') {
    assert.fail(`read as ${content.kind}`);
  }
  return content.snapshot;
}

test('a whole snapshot is read field by field', () => {
  assert.deepEqual(snapshotOf(RUN), EXPECTED);
});

for (const [field, empty] of Object.entries(EMPTY)) {
  test(`a snapshot whose ${field} is missing, null or of the wrong type is read without it`, () => {
    const missing = Object.fromEntries(Object.entries(RUN).filter(([name]) => name !== field));
    const wrong = typeof RUN[field as keyof typeof RUN] === 'string' ? 7 : 'wrong';
    for (const data of [missing, { ...RUN, [field]: null }, { ...RUN, [field]: wrong }]) {
      assert.deepEqual(snapshotOf(data), { ...EXPECTED, ...empty });
    }
  });
}

test('notices that are missing are the message, as in notebooks of earlier versions', () => {
  const { notices, ...earlier } = RUN;
  assert.deepEqual(notices, EXPECTED.notices);
  assert.deepEqual(snapshotOf(earlier).notices, [['note', 'a word']]);
  assert.deepEqual(snapshotOf({ ...earlier, status: 'lost' }).notices, [['error', 'a word']]);
  assert.deepEqual(snapshotOf({ ...RUN, notices: 'wrong' }).notices, []);
});

test('a status line of an earlier version has parts without a kind', () => {
  const { statusLine } = snapshotOf({ ...RUN, status_line: [['left', '0:40'], 'wrong', null] });
  assert.deepEqual(statusLine, [
    { label: 'left', value: '0:40', kind: '' },
    { label: '', value: '', kind: '' },
    { label: '', value: '', kind: '' }
  ]);
});

test('columns of a series are as long as its steps', () => {
  const series = { ...SERIES, values: '1', lows: undefined, highs: '1,2,3,4' };
  const [group] = asCurves({ families: [{ name: 'loss', series: [series] }] }) ?? [];
  const [read] = group?.series ?? [];
  assert.deepEqual(read?.values, [1, null, null]);
  assert.deepEqual(read?.lows, []);
  assert.deepEqual(read?.highs, [1, 2, 3]);
});

test('an unknown role is another one, and learning rates are known by their names', () => {
  const names = ['lr', 'lr/1', 'lrate', 'train_lr'];
  const series = names.map(name => ({ ...SERIES, name, role: 'unknown' }));
  const [group] = asCurves({ families: [{ series }] }) ?? [];
  assert.deepEqual(
    group?.series.map(({ role, isRate }) => [role, isRate]),
    [
      ['other', true],
      ['other', true],
      ['other', false],
      ['other', false]
    ]
  );
});

test('items of lists that are no objects are read as empty ones', () => {
  const { metricGroups, marks, media } = snapshotOf({
    ...RUN,
    families: [null],
    marks: [7],
    media: ['x']
  });
  assert.deepEqual(metricGroups, [{ name: '', series: [] }]);
  assert.deepEqual(marks, [{ step: 0, label: '' }]);
  assert.deepEqual(media, [{ name: '', step: 0, caption: '', thumbnail: '' }]);
});

test('a thumbnail is a PNG or JPEG, and nothing else', () => {
  for (const thumbnail of [
    'javascript:alert(1)',
    'data:text/html,x',
    'data:image/svg+xml;base64,AA',
    '//x/y.png'
  ]) {
    assert.equal(snapshotOf({ ...RUN, media: [{ thumbnail }] }).media[0]?.thumbnail, '');
  }
});

test('lists are bounded', () => {
  const many = Array.from({ length: 100 }, () => ({}));
  const { metricGroups, marks, notices } = snapshotOf({
    ...RUN,
    families: many,
    marks: many,
    notices: many
  });
  assert.deepEqual([metricGroups.length, marks.length, notices.length], [32, 64, 12]);
});

test('what is no run is a line that says so', () => {
  for (const data of [null, undefined, 7, 'text', []]) {
    assert.deepEqual(asPanel(data), { kind: 'line', text: 'This panel holds no run.' });
  }
  for (const status of [undefined, null, 7, 'dancing', 'toString']) {
    assert.deepEqual(asPanel({ ...RUN, status }), {
      kind: 'line',
      text: 'This panel holds no run.'
    });
  }
});

test('another version and a huge panel are not drawn', () => {
  for (const schema of [2, '1', null]) {
    const content = asPanel({ ...RUN, schema });
    assert.match(content.kind === 'line' ? content.text : '', /another version/);
  }
  const content = asPanel({ ...RUN, note: 'x'.repeat(MAX_CHARACTERS) });
  assert.match(content.kind === 'line' ? content.text : '', /too large/);
});

test('a panel that is loading is its line', () => {
  const loading = { schema: 1, run: '', status: 'loading' };
  assert.deepEqual(asPanel({ ...loading, message: 'loading torch …' }), {
    kind: 'line',
    text: 'loading torch …'
  });
  assert.deepEqual(asPanel({ ...loading, message: 7 }), { kind: 'line', text: '' });
});

test('a reference names its run; fields of the wrong type are empty', () => {
  const reference = {
    schema: 1,
    status: 'reference',
    run: 'key',
    ref: 'a-b',
    kernel: 'k',
    message: 'm'
  };
  assert.deepEqual(asPanel(reference), {
    kind: 'reference',
    reference: { run: 'key', ref: 'a-b', kernel: 'k', text: 'm' }
  });
  assert.deepEqual(asPanel({ schema: 1, status: 'reference', run: null, ref: 7, kernel: [] }), {
    kind: 'reference',
    reference: { run: '', ref: '', kernel: '', text: '' }
  });
});

test('curves are null without a list of groups', () => {
  for (const json of [null, 7, [], {}, { families: null }, { families: 'x' }]) {
    assert.equal(asCurves(json), null);
  }
  assert.deepEqual(asCurves({ families: [] }), []);
});

const DETAILS = {
  note: 'n',
  tags: ['a'],
  log: 'l',
  config: { lr: 0.1 },
  environment: { python: '3.11' },
  events: [{ step: 3, kind: 'nan', text: 't' }],
  links: [{ name: 'notebook', text: 'x', url: 'https://example.org', path: 'a.ipynb' }]
};

test('details are read field by field', () => {
  assert.deepEqual(asDetails(DETAILS), DETAILS);
  for (const json of [null, 7, 'x', []]) {
    assert.equal(asDetails(json), null);
  }
});

test('details of the wrong type are empty', () => {
  const empty = { note: '', tags: [], log: '', config: {}, environment: {}, events: [], links: [] };
  assert.deepEqual(asDetails({}), empty);
  const wrong = Object.fromEntries(Object.keys(DETAILS).map(name => [name, 7]));
  assert.deepEqual(asDetails(wrong), empty);
});

test('a link opens web pages only', () => {
  const links = ['javascript:alert(1)', 'file:///x', 'http://a', 'https://b'].map(url => ({ url }));
  assert.deepEqual(
    asDetails({ links })?.links.map(({ url }) => url),
    ['', '', 'http://a', 'https://b']
  );
});
