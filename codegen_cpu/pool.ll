; The thread pool. Names with a dollar sign are filled in by pool_ir.py, which explains the design:
; capitals are offsets in the pool's state.
declare void @llvm.x86.sse2.pause()
declare void @llvm.aarch64.hint(i32)
declare i32 @llvm.smin.i32(i32, i32)
declare i32 @clock_gettime(i32, ptr)
declare i32 @pthread_create(ptr, ptr, ptr, ptr)
declare i32 @pthread_join(i64, ptr)
declare i32 @pthread_sigmask(i32, ptr, ptr)
declare i32 @sigfillset(ptr)

define internal i64 @now() nounwind {
  %time = alloca [2 x i64]
  %status = call i32 @clock_gettime(i32 $clock, ptr %time)
  %seconds = load i64, ptr %time
  %rest = getelementptr i8, ptr %time, i64 8
  %nanoseconds = load i64, ptr %rest
  %scaled = mul i64 %seconds, 1000000000
  %sum = add i64 %scaled, %nanoseconds
  ret i64 %sum
}

; How many sleeping workers a loop of so many chunks lacks: the caller takes a chunk, and so does
; every worker that is awake. It is below 1 where there are enough.
define internal i32 @missing(ptr %pool, i64 %chunks) nounwind {
  %sleepers_word = getelementptr i8, ptr %pool, i64 $SLEEPERS
  %sleepers = load atomic i32, ptr %sleepers_word seq_cst, align 4
  %running_word = getelementptr i8, ptr %pool, i64 $RUNNING
  %running = load i32, ptr %running_word
  %awake = sub i32 %running, %sleepers
  %chunks_narrow = trunc i64 %chunks to i32
  %others = sub i32 %chunks_narrow, 1
  %lacking = sub i32 %others, %awake
  %wanted = call i32 @llvm.smin.i32(i32 %sleepers, i32 %lacking)
  ret i32 %wanted
}

define void @tw_parallel_for(ptr %pool, ptr %task, ptr %context, i64 %chunks) nounwind {
  %claim = getelementptr i8, ptr %pool, i64 $CLAIM
  %epoch_word = getelementptr i8, ptr %pool, i64 $EPOCH
  %done_word = getelementptr i8, ptr %pool, i64 $DONE
  %caller_waits = getelementptr i8, ptr %pool, i64 $CALLER_WAITS
  %busy = getelementptr i8, ptr %pool, i64 $BUSY
  %at_least_two = sub i64 %chunks, 2
  %worth_it = icmp ult i64 %at_least_two, 65534  ; also: the count fits its quarter of the word
  br i1 %worth_it, label %acquire, label %serial

acquire:
  %taken = cmpxchg ptr %busy, i32 0, i32 1 acquire monotonic
  %acquired = extractvalue { i32, i1 } %taken, 1
  br i1 %acquired, label %check_started, label %serial

check_started:
  %started_word = getelementptr i8, ptr %pool, i64 $STARTED
  %started = load i32, ptr %started_word
  %running = icmp ne i32 %started, 0
  br i1 %running, label %look_around, label %start

start:
  call void @start(ptr %pool)
  br label %look_around

look_around:
  %cpu = call i32 @this_cpu()
  %caller_cpu = getelementptr i8, ptr %pool, i64 $CALLER_CPU
  store atomic i32 %cpu, ptr %caller_cpu monotonic, align 4
  %missing = call i32 @missing(ptr %pool, i64 %chunks)
  %enough = icmp sle i32 %missing, 0
  br i1 %enough, label %publish, label %consider

consider:
  %time = call i64 @now()
  %crowded_word = getelementptr i8, ptr %pool, i64 $CROWDED
  %crowded_until = load atomic i64, ptr %crowded_word monotonic, align 8
  %crowded = icmp slt i64 %time, %crowded_until
  br i1 %crowded, label %try, label %weigh

weigh:
  %ended_word = getelementptr i8, ptr %pool, i64 $ENDED
  %ended = load i64, ptr %ended_word
  %pause = sub i64 %time, %ended
  %in_a_row = icmp slt i64 %pause, $spin
  %few = icmp ult i64 %chunks, $few
  %at_once = or i1 %in_a_row, %few
  br i1 %at_once, label %publish, label %try

try:
  %least = phi i64 [ $crowded, %consider ], [ $worth_waking, %weigh ]
  call void %task(ptr %context, i64 0)
  %time_after = call i64 @now()
  %one = sub i64 %time_after, %time
  %rest = sub i64 %chunks, 1
  %whole = mul i64 %one, %rest
  %long = icmp sgt i64 %whole, %least
  br label %publish

publish:
  %run_before = phi i64 [ 0, %look_around ], [ 0, %weigh ], [ 1, %try ]
  %may_wake = phi i1 [ true, %look_around ], [ true, %weigh ], [ %long, %try ]
  %task_word = getelementptr i8, ptr %pool, i64 $TASK
  %context_word = getelementptr i8, ptr %pool, i64 $CONTEXT
  store atomic ptr %task, ptr %task_word monotonic, align 8
  store atomic ptr %context, ptr %context_word monotonic, align 8
  store atomic i32 0, ptr %done_word monotonic, align 4
  store atomic i32 0, ptr %caller_waits monotonic, align 4
  %old_epoch = load atomic i32, ptr %epoch_word monotonic, align 4
  %epoch = add i32 %old_epoch, 1
  %epoch_wide = zext i32 %epoch to i64
  %epoch_high = shl i64 %epoch_wide, 32
  %unclaimed = sub i64 %chunks, %run_before
  %first_high = shl i64 %run_before, 16
  %range = or i64 %first_high, %unclaimed
  %fresh = or i64 %epoch_high, %range
  ; Sequentially consistent with the sleepers' count: either the worker that is about to sleep
  ; sees this epoch, or it is counted here.
  %previous = atomicrmw xchg ptr %claim, i64 %fresh seq_cst
  %mine_before = trunc i64 %run_before to i32
  br i1 %may_wake, label %count_asleep, label %next

count_asleep:
  %wanted = call i32 @missing(ptr %pool, i64 %unclaimed)
  %any_wanted = icmp sgt i32 %wanted, 0
  br i1 %any_wanted, label %wake_some, label %next

wake_some:
  call void @wake(ptr %pool, ptr %epoch_word, i32 %wanted)
  br label %next

next:
  %mine = phi i32 [ %mine_before, %publish ], [ %mine_before, %count_asleep ],
                  [ %mine_before, %wake_some ], [ %mine, %retry ], [ %mine_more, %run ]
  %seen = load atomic i64, ptr %claim monotonic, align 8
  %left = and i64 %seen, 65535
  %none_left = icmp eq i64 %left, 0
  br i1 %none_left, label %join, label %retry

retry:
  %less = add i64 %seen, 65535  ; one more claimed in front, one less left
  %swap = cmpxchg ptr %claim, i64 %seen, i64 %less acq_rel monotonic
  %claimed = extractvalue { i64, i1 } %swap, 1
  br i1 %claimed, label %run, label %next

run:
  %above = lshr i64 %seen, 16
  %chunk = and i64 %above, 65535
  call void %task(ptr %context, i64 %chunk)
  %mine_more = add i32 %mine, 1
  br label %next

join:
  %all = trunc i64 %chunks to i32
  %by_workers = sub i32 %all, %mine
  br label %spin

spin:
  %spins = phi i32 [ 0, %join ], [ %spins_more, %relax ]
  %done = load atomic i32, ptr %done_word acquire, align 4
  %finished = icmp eq i32 %done, %by_workers
  br i1 %finished, label %release, label %relax

relax:
  $pause
  %spins_more = add i32 %spins, 1
  %patient = icmp ult i32 %spins_more, $join_spins
  br i1 %patient, label %spin, label %announce

announce:
  store atomic i32 1, ptr %caller_waits seq_cst, align 4
  br label %doze

doze:
  %done_now = load atomic i32, ptr %done_word seq_cst, align 4
  %finished_now = icmp eq i32 %done_now, %by_workers
  br i1 %finished_now, label %release, label %sleep

sleep:
  call void @wait(ptr %pool, ptr %done_word, i32 %done_now)
  br label %doze

release:
  %end = call i64 @now()
  %ended_place = getelementptr i8, ptr %pool, i64 $ENDED
  store i64 %end, ptr %ended_place
  store atomic i32 0, ptr %busy release, align 4
  ret void

serial:
  %any = icmp sgt i64 %chunks, 0
  br i1 %any, label %serial_run, label %leave

serial_run:
  %index = phi i64 [ 0, %serial ], [ %index_next, %serial_run ]
  call void %task(ptr %context, i64 %index)
  %index_next = add i64 %index, 1
  %more = icmp slt i64 %index_next, %chunks
  br i1 %more, label %serial_run, label %leave

leave:
  ret void
}

define internal ptr @worker(ptr %pool) nounwind {
  %claim = getelementptr i8, ptr %pool, i64 $CLAIM
  %epoch_word = getelementptr i8, ptr %pool, i64 $EPOCH
  %task_word = getelementptr i8, ptr %pool, i64 $TASK
  %context_word = getelementptr i8, ptr %pool, i64 $CONTEXT
  %done_word = getelementptr i8, ptr %pool, i64 $DONE
  %caller_waits = getelementptr i8, ptr %pool, i64 $CALLER_WAITS
  %sleepers_word = getelementptr i8, ptr %pool, i64 $SLEEPERS
  %stop_word = getelementptr i8, ptr %pool, i64 $STOP
  %caller_cpu_word = getelementptr i8, ptr %pool, i64 $CALLER_CPU
  %crowded_word = getelementptr i8, ptr %pool, i64 $CROWDED
  br label %idle

idle:
  %since = call i64 @now()
  br label %look

look:
  %spins = phi i32 [ 0, %idle ], [ %spins, %take ], [ %spins_more, %relax ],
                   [ %spins_more, %check_place ]
  %seen = load atomic i64, ptr %claim acquire, align 8
  %left = and i64 %seen, 65535
  %work = icmp ne i64 %left, 0
  br i1 %work, label %take, label %relax

take:
  ; Read before the swap: if it succeeds, this epoch was still open, and so was its job.
  %task = load atomic ptr, ptr %task_word monotonic, align 8
  %context = load atomic ptr, ptr %context_word monotonic, align 8
  %less = sub i64 %seen, 1
  %swap = cmpxchg ptr %claim, i64 %seen, i64 %less acq_rel monotonic
  %claimed = extractvalue { i64, i1 } %swap, 1
  br i1 %claimed, label %run, label %look

run:
  %above = lshr i64 %seen, 16
  %first = and i64 %above, 65535
  %end = add i64 %first, %left
  %chunk = sub i64 %end, 1
  call void %task(ptr %context, i64 %chunk)
  %before = atomicrmw add ptr %done_word, i32 1 seq_cst
  %waits = load atomic i32, ptr %caller_waits seq_cst, align 4
  %must_wake = icmp ne i32 %waits, 0
  br i1 %must_wake, label %wake_caller, label %idle

wake_caller:
  call void @wake(ptr %pool, ptr %done_word, i32 1)
  br label %idle

relax:
  $pause
  %spins_more = add i32 %spins, 1
  %phase = and i32 %spins_more, 63
  %due = icmp eq i32 %phase, 0
  br i1 %due, label %tick, label %look

tick:
  %time = call i64 @now()
  %idle_time = sub i64 %time, %since
  %tired = icmp sgt i64 %idle_time, $spin
  br i1 %tired, label %doze, label %check_place

check_place:
  %cpu = call i32 @this_cpu()
  %caller_cpu = load atomic i32, ptr %caller_cpu_word monotonic, align 4
  %known = icmp sge i32 %cpu, 0
  %same = icmp eq i32 %cpu, %caller_cpu
  %in_the_way = and i1 %known, %same
  br i1 %in_the_way, label %give_way, label %look

give_way:
  %until = add i64 %time, $crowded
  store atomic i64 %until, ptr %crowded_word monotonic, align 8
  br label %doze

doze:
  %counted = atomicrmw add ptr %sleepers_word, i32 1 seq_cst
  %last = load atomic i64, ptr %claim seq_cst, align 8
  %stop = load atomic i32, ptr %stop_word seq_cst, align 4
  %stopped = icmp ne i32 %stop, 0
  br i1 %stopped, label %leave, label %look_again

look_again:
  %last_left = and i64 %last, 65535
  %still_idle = icmp eq i64 %last_left, 0
  br i1 %still_idle, label %sleep, label %rise

sleep:
  %last_epoch = lshr i64 %last, 32
  %epoch = trunc i64 %last_epoch to i32
  call void @wait(ptr %pool, ptr %epoch_word, i32 %epoch)
  br label %rise

rise:
  %uncounted = atomicrmw sub ptr %sleepers_word, i32 1 seq_cst
  br label %idle

leave:
  ret ptr null
}

; Signals stay with the threads that Python knows, or Ctrl-C might not interrupt a sleep.
define internal void @start(ptr %pool) nounwind {
  %all_signals = alloca [128 x i8], align 16
  %old_signals = alloca [128 x i8], align 16
  %filled = call i32 @sigfillset(ptr %all_signals)
  %masked = call i32 @pthread_sigmask(i32 $sig_block, ptr %all_signals, ptr %old_signals)
  %workers_word = getelementptr i8, ptr %pool, i64 $WORKERS
  %workers = load i32, ptr %workers_word
  %threads_word = getelementptr i8, ptr %pool, i64 $THREADS
  %threads = load ptr, ptr %threads_word
  br label %next

next:
  %k = phi i32 [ 0, %0 ], [ %k_next, %create ]
  %more = icmp slt i32 %k, %workers
  br i1 %more, label %create, label %leave

create:
  %thread = getelementptr i64, ptr %threads, i32 %k
  %status = call i32 @pthread_create(ptr %thread, ptr null, ptr @worker, ptr %pool)
  %k_next = add i32 %k, 1
  %failed = icmp ne i32 %status, 0
  br i1 %failed, label %leave, label %next

leave:
  %running_word = getelementptr i8, ptr %pool, i64 $RUNNING
  store i32 %k, ptr %running_word
  %started_word = getelementptr i8, ptr %pool, i64 $STARTED
  store i32 1, ptr %started_word
  %unmasked = call i32 @pthread_sigmask(i32 $sig_setmask, ptr %old_signals, ptr null)
  ret void
}

; End all workers; the next loop starts `workers` new ones. 0, without effect, while a loop runs.
define i32 @tw_resize(ptr %pool, i32 %workers) nounwind {
  %claim = getelementptr i8, ptr %pool, i64 $CLAIM
  %epoch_word = getelementptr i8, ptr %pool, i64 $EPOCH
  %stop_word = getelementptr i8, ptr %pool, i64 $STOP
  %busy = getelementptr i8, ptr %pool, i64 $BUSY
  %taken = cmpxchg ptr %busy, i32 0, i32 1 acquire monotonic
  %acquired = extractvalue { i32, i1 } %taken, 1
  br i1 %acquired, label %stop, label %refuse

refuse:
  ret i32 0

stop:
  store atomic i32 1, ptr %stop_word seq_cst, align 4
  %bumped = atomicrmw add ptr %claim, i64 4294967296 seq_cst
  call void @wake(ptr %pool, ptr %epoch_word, i32 2147483647)
  %running_word = getelementptr i8, ptr %pool, i64 $RUNNING
  %running = load i32, ptr %running_word
  %threads_word = getelementptr i8, ptr %pool, i64 $THREADS
  %threads = load ptr, ptr %threads_word
  br label %next

next:
  %k = phi i32 [ 0, %stop ], [ %k_next, %join ]
  %more = icmp slt i32 %k, %running
  br i1 %more, label %join, label %leave

join:
  %thread = getelementptr i64, ptr %threads, i32 %k
  %id = load i64, ptr %thread
  %status = call i32 @pthread_join(i64 %id, ptr null)
  %k_next = add i32 %k, 1
  br label %next

leave:
  %sleepers_word = getelementptr i8, ptr %pool, i64 $SLEEPERS
  %started_word = getelementptr i8, ptr %pool, i64 $STARTED
  %workers_word = getelementptr i8, ptr %pool, i64 $WORKERS
  store i32 0, ptr %sleepers_word
  store i32 0, ptr %running_word
  store i32 0, ptr %started_word
  store i32 %workers, ptr %workers_word
  store atomic i32 0, ptr %stop_word seq_cst, align 4
  store atomic i32 0, ptr %busy release, align 4
  ret i32 1
}
