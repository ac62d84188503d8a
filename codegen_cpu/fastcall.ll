; The dispatcher. Names with a dollar sign are filled in by fastcall_ir.py, which explains the
; design: offsets of Python's and NumPy's objects (capitals) and of our tables (arg_ and so on).

@ndarray_type = external global i8
@float_type = external global i8
@int_type = external global i8
@out_name = external global i8
@tw_epoch = global i64 1

declare ptr @PyObject_Vectorcall(ptr, ptr, i64, ptr)
declare void @Py_IncRef(ptr)
declare void @Py_DecRef(ptr)
declare ptr @PyEval_SaveThread()
declare void @PyEval_RestoreThread(ptr)
declare ptr @PyTuple_New(i64)
declare i32 @PyTuple_SetItem(ptr, i64, ptr)
declare ptr @PyLong_FromLong(i64)
declare i64 @PyLong_AsLongLongAndOverflow(ptr, ptr)
declare double @PyFloat_AsDouble(ptr)
declare ptr @PyDict_GetItem(ptr, ptr)
declare ptr @PyArray_Return(ptr)
declare ptr @PyArray_NewFromDescr(ptr, ptr, i32, ptr, ptr, ptr, i32, ptr)
declare ptr @PyArray_NewCopy(ptr, i32)
declare void @PyErr_Clear()
declare i32 @memcmp(ptr, ptr, i64)

; @array_fits compares with sizes and strides. Where %apart is given, an array that lies otherwise
; in memory (a view, or misaligned) fits as well, and is counted there: it must be copied.
; @argument_fits stores the value where the kernel finds it as soon as it fits: nobody reads it
; unless the whole record fits.
define internal i1 @array_fits(
    ptr %array, ptr %spec, ptr %symbols, ptr %apart) nounwind alwaysinline {
  %type_at = getelementptr i8, ptr %array, i64 $OBJECT_TYPE
  %type = load ptr, ptr %type_at
  %is_array = icmp eq ptr %type, @ndarray_type
  br i1 %is_array, label %head, label %no

head:
  %dtype_at = getelementptr i8, ptr %array, i64 $ARRAY_DTYPE
  %dtype = load ptr, ptr %dtype_at
  %expected_at = getelementptr i8, ptr %spec, i64 $arg_expected
  %expected = load ptr, ptr %expected_at
  %same_dtype = icmp eq ptr %dtype, %expected
  %ndim_at = getelementptr i8, ptr %array, i64 $ARRAY_NDIM
  %ndim = load i32, ptr %ndim_at
  %want_ndim_at = getelementptr i8, ptr %spec, i64 $arg_ndim
  %want_ndim = load i32, ptr %want_ndim_at
  %same_ndim = icmp eq i32 %ndim, %want_ndim
  %flags_at = getelementptr i8, ptr %array, i64 $ARRAY_FLAGS
  %flags = load i32, ptr %flags_at
  %want_flags_at = getelementptr i8, ptr %spec, i64 $arg_flags
  %want_flags = load i32, ptr %want_flags_at
  %set_flags = and i32 %flags, %want_flags
  %same_flags = icmp eq i32 %set_flags, %want_flags
  %alike = and i1 %same_dtype, %same_ndim
  br i1 %alike, label %layout, label %no

layout:
  br i1 %same_flags, label %body, label %other_layout

other_layout:
  %may_be_apart = icmp ne ptr %apart, null
  br i1 %may_be_apart, label %count_apart, label %no

count_apart:
  %apart_before = load i64, ptr %apart
  %apart_now = add i64 %apart_before, 1
  store i64 %apart_now, ptr %apart
  br label %body

body:
  %shape_at = getelementptr i8, ptr %array, i64 $ARRAY_SHAPE
  %shape = load ptr, ptr %shape_at
  %want_shape_at = getelementptr i8, ptr %spec, i64 $arg_shape
  %want_shape = load ptr, ptr %want_shape_at
  br label %next

next:
  %axis = phi i32 [ 0, %body ], [ %axis_next, %same ], [ %axis_next, %bind ]
  %more = icmp slt i32 %axis, %ndim
  br i1 %more, label %size, label %check_strides

size:
  %axis_next = add i32 %axis, 1
  %have_at = getelementptr i64, ptr %shape, i32 %axis
  %have = load i64, ptr %have_at
  %want_at = getelementptr i64, ptr %want_shape, i32 %axis
  %want = load i64, ptr %want_at
  %open = icmp slt i64 %want, 0
  br i1 %open, label %symbol, label %same

symbol:
  %code = xor i64 %want, -1
  %index = lshr i64 %code, 1
  %symbol_at = getelementptr i64, ptr %symbols, i64 %index
  %bound = trunc i64 %code to i1
  br i1 %bound, label %compare, label %bind

compare:
  %bound_size = load i64, ptr %symbol_at
  br label %same

bind:
  store i64 %have, ptr %symbol_at
  %is_empty = icmp eq i64 %have, 0 ; what kernels may read of nothing is up to the general path
  br i1 %is_empty, label %no, label %next

same:
  %want_size = phi i64 [ %want, %size ], [ %bound_size, %compare ]
  %same_size = icmp eq i64 %have, %want_size
  br i1 %same_size, label %next, label %no

check_strides:
  %want_strides_at = getelementptr i8, ptr %spec, i64 $arg_strides
  %want_strides = load ptr, ptr %want_strides_at
  %any_strides = icmp eq ptr %want_strides, null
  br i1 %any_strides, label %yes, label %strided

strided:
  %strides_at = getelementptr i8, ptr %array, i64 $ARRAY_STRIDES
  %strides = load ptr, ptr %strides_at
  br label %next_stride

next_stride:
  %step_axis = phi i32 [ 0, %strided ], [ %step_axis_next, %stride ]
  %more_steps = icmp slt i32 %step_axis, %ndim
  br i1 %more_steps, label %stride, label %yes

stride:
  %step_axis_next = add i32 %step_axis, 1
  %step_at = getelementptr i64, ptr %strides, i32 %step_axis
  %step = load i64, ptr %step_at
  %want_step_at = getelementptr i64, ptr %want_strides, i32 %step_axis
  %want_step = load i64, ptr %want_step_at
  %same_step = icmp eq i64 %step, %want_step
  br i1 %same_step, label %next_stride, label %no

yes:
  ret i1 true
no:
  ret i1 false
}

define internal i1 @argument_fits(
    ptr %argument, ptr %spec, ptr %symbols, ptr %overflow, ptr %apart) nounwind {
  %kind_at = getelementptr i8, ptr %spec, i64 $arg_kind
  %kind = load i32, ptr %kind_at
  %type_at = getelementptr i8, ptr %argument, i64 $OBJECT_TYPE
  %type = load ptr, ptr %type_at
  %box_at = getelementptr i8, ptr %spec, i64 $arg_box
  %box = load ptr, ptr %box_at
  switch i32 %kind, label %no [
    i32 $ARRAY, label %array
    i32 $FLOAT32, label %float
    i32 $FLOAT64, label %float
    i32 $INTEGER, label %integer
    i32 $STATIC, label %static
  ]

array:
  %strides_at = getelementptr i8, ptr %spec, i64 $arg_strides
  %strides = load ptr, ptr %strides_at
  %any_layout = icmp eq ptr %strides, null
  %may_copy = select i1 %any_layout, ptr %apart, ptr null
  %fits = call i1 @array_fits(ptr %argument, ptr %spec, ptr %symbols, ptr %may_copy)
  br i1 %fits, label %store_data, label %no

store_data:
  %data_at = getelementptr i8, ptr %argument, i64 $ARRAY_DATA
  %data = load ptr, ptr %data_at
  %pointer_at = getelementptr i8, ptr %spec, i64 $arg_pointer
  %pointer = load ptr, ptr %pointer_at
  store ptr %data, ptr %pointer
  ret i1 true

float:
  %is_float = icmp eq ptr %type, @float_type
  br i1 %is_float, label %read_float, label %no

read_float:
  %double = call double @PyFloat_AsDouble(ptr %argument)
  %is_single = icmp eq i32 %kind, $FLOAT32
  br i1 %is_single, label %store_single, label %store_double

store_single:
  %single = fptrunc double %double to float
  store float %single, ptr %box
  ret i1 true

store_double:
  store double %double, ptr %box
  ret i1 true

integer:
  %is_integer = icmp eq ptr %type, @int_type
  br i1 %is_integer, label %read_integer, label %no

read_integer:
  %value = call i64 @PyLong_AsLongLongAndOverflow(ptr %argument, ptr %overflow)
  %overflowed = load i32, ptr %overflow
  %exact = icmp eq i32 %overflowed, 0
  %low_at = getelementptr i8, ptr %spec, i64 $arg_low
  %low = load i64, ptr %low_at
  %high_at = getelementptr i8, ptr %spec, i64 $arg_high
  %high = load i64, ptr %high_at
  %above = icmp sge i64 %value, %low
  %below = icmp sle i64 %value, %high
  %inside_0 = and i1 %exact, %above
  %inside = and i1 %inside_0, %below
  br i1 %inside, label %store_integer, label %no

store_integer:
  store i64 %value, ptr %box
  ret i1 true

static:
  %object_at = getelementptr i8, ptr %spec, i64 $arg_expected
  %object = load ptr, ptr %object_at
  %same = icmp eq ptr %argument, %object
  ret i1 %same

no:
  ret i1 false
}

define internal i1 @guards_hold(ptr %record) nounwind {
  %count_at = getelementptr i8, ptr %record, i64 $record_guard_count
  %count = load i64, ptr %count_at
  %guards_at = getelementptr i8, ptr %record, i64 $record_guards
  %guards = load ptr, ptr %guards_at
  br label %next

next:
  %i = phi i64 [ 0, %0 ], [ %i_next, %same_object ], [ %i_next, %same_elements ]
  %more = icmp slt i64 %i, %count
  br i1 %more, label %guard, label %yes

guard:
  %i_next = add i64 %i, 1
  %offset = mul i64 %i, $guard_bytes
  %spec = getelementptr i8, ptr %guards, i64 %offset
  %container_at = getelementptr i8, ptr %spec, i64 $guard_container
  %container = load ptr, ptr %container_at
  %key_at = getelementptr i8, ptr %spec, i64 $guard_key
  %key = load ptr, ptr %key_at
  %is_cell = icmp eq ptr %key, null
  br i1 %is_cell, label %cell, label %dict

cell:
  %contents_at = getelementptr i8, ptr %container, i64 $CELL_CONTENTS
  %contents = load ptr, ptr %contents_at
  br label %compare

dict:
  %item = call ptr @PyDict_GetItem(ptr %container, ptr %key)
  br label %compare

compare:
  %value = phi ptr [ %contents, %cell ], [ %item, %dict ]
  %array_at = getelementptr i8, ptr %spec, i64 $guard_array
  %array = load ptr, ptr %array_at
  %is_array = icmp ne ptr %array, null
  br i1 %is_array, label %present, label %same_object

same_object:
  %expected_at = getelementptr i8, ptr %spec, i64 $guard_expected
  %expected = load ptr, ptr %expected_at
  %same = icmp eq ptr %value, %expected
  br i1 %same, label %next, label %no

present:
  %exists = icmp ne ptr %value, null
  br i1 %exists, label %alike, label %no

alike:
  %fits = call i1 @array_fits(ptr %value, ptr %array, ptr null, ptr null)
  br i1 %fits, label %same_elements, label %no

same_elements:
  %data_at = getelementptr i8, ptr %value, i64 $ARRAY_DATA
  %data = load ptr, ptr %data_at
  %expected_bytes_at = getelementptr i8, ptr %spec, i64 $guard_expected
  %expected_bytes = load ptr, ptr %expected_bytes_at
  %bytes_at = getelementptr i8, ptr %spec, i64 $guard_size
  %bytes = load i64, ptr %bytes_at
  %difference = call i32 @memcmp(ptr %data, ptr %expected_bytes, i64 %bytes)
  %unchanged = icmp eq i32 %difference, 0
  br i1 %unchanged, label %next, label %no

yes:
  ret i1 true
no:
  ret i1 false
}

; Sizes of outputs from symbols; false where one would be negative.
define internal i1 @size_output(ptr %spec, ptr %symbols) nounwind {
  %ndim_at = getelementptr i8, ptr %spec, i64 $out_ndim
  %ndim = load i32, ptr %ndim_at
  %shape_at = getelementptr i8, ptr %spec, i64 $out_shape
  %shape = load ptr, ptr %shape_at
  %formula_at = getelementptr i8, ptr %spec, i64 $out_formula
  %formula = load ptr, ptr %formula_at
  br label %next

next:
  %axis = phi i32 [ 0, %0 ], [ %axis_next, %size ]
  %more = icmp slt i32 %axis, %ndim
  br i1 %more, label %size, label %yes

size:
  %axis_next = add i32 %axis, 1
  %base_at = getelementptr [3 x i64], ptr %formula, i32 %axis, i32 0
  %base = load i64, ptr %base_at
  %factor_at = getelementptr [3 x i64], ptr %formula, i32 %axis, i32 1
  %factor = load i64, ptr %factor_at
  %index_at = getelementptr [3 x i64], ptr %formula, i32 %axis, i32 2
  %index = load i64, ptr %index_at
  %symbol_at = getelementptr i64, ptr %symbols, i64 %index
  %symbol = load i64, ptr %symbol_at
  %scaled = mul i64 %factor, %symbol
  %value = add i64 %base, %scaled
  %size_at = getelementptr i64, ptr %shape, i32 %axis
  store i64 %value, ptr %size_at
  %impossible = icmp slt i64 %value, 0
  br i1 %impossible, label %no, label %next

yes:
  ret i1 true
no:
  ret i1 false
}

define internal i64 @byte_size(ptr %array, i64 %itemsize) nounwind {
  %ndim_at = getelementptr i8, ptr %array, i64 $ARRAY_NDIM
  %ndim = load i32, ptr %ndim_at
  %shape_at = getelementptr i8, ptr %array, i64 $ARRAY_SHAPE
  %shape = load ptr, ptr %shape_at
  br label %next

next:
  %axis = phi i32 [ 0, %0 ], [ %axis_next, %size ]
  %bytes = phi i64 [ %itemsize, %0 ], [ %bytes_next, %size ]
  %more = icmp slt i32 %axis, %ndim
  br i1 %more, label %size, label %done

size:
  %axis_next = add i32 %axis, 1
  %size_at = getelementptr i64, ptr %shape, i32 %axis
  %length = load i64, ptr %size_at
  %bytes_next = mul i64 %bytes, %length
  br label %next

done:
  ret i64 %bytes
}

; An array that the caller gives must be what we would have made, and must not share memory with an
; argument. Arguments are C-contiguous wherever TAKES_OUT is set, or copied before anything is
; written.
define internal i1 @out_fits(ptr %record, ptr %arguments, ptr %array) nounwind {
  %outputs_at = getelementptr i8, ptr %record, i64 $record_outputs
  %spec = load ptr, ptr %outputs_at
  %type_at = getelementptr i8, ptr %array, i64 $OBJECT_TYPE
  %type = load ptr, ptr %type_at
  %is_array = icmp eq ptr %type, @ndarray_type
  br i1 %is_array, label %head, label %no

head:
  %dtype_at = getelementptr i8, ptr %array, i64 $ARRAY_DTYPE
  %dtype = load ptr, ptr %dtype_at
  %want_dtype_at = getelementptr i8, ptr %spec, i64 $out_dtype
  %want_dtype = load ptr, ptr %want_dtype_at
  %same_dtype = icmp eq ptr %dtype, %want_dtype
  %ndim_at = getelementptr i8, ptr %array, i64 $ARRAY_NDIM
  %ndim = load i32, ptr %ndim_at
  %want_ndim_at = getelementptr i8, ptr %spec, i64 $out_ndim
  %want_ndim = load i32, ptr %want_ndim_at
  %same_ndim = icmp eq i32 %ndim, %want_ndim
  %flags_at = getelementptr i8, ptr %array, i64 $ARRAY_FLAGS
  %flags = load i32, ptr %flags_at
  %set_flags = and i32 %flags, $OUT_FLAGS
  %same_flags = icmp eq i32 %set_flags, $OUT_FLAGS
  %head_0 = and i1 %same_dtype, %same_ndim
  %head_1 = and i1 %head_0, %same_flags
  br i1 %head_1, label %body, label %no

body:
  %shape_at = getelementptr i8, ptr %array, i64 $ARRAY_SHAPE
  %shape = load ptr, ptr %shape_at
  %want_shape_at = getelementptr i8, ptr %spec, i64 $out_shape
  %want_shape = load ptr, ptr %want_shape_at
  br label %next_axis

next_axis:
  %axis = phi i32 [ 0, %body ], [ %axis_next, %size ]
  %more_axes = icmp slt i32 %axis, %ndim
  br i1 %more_axes, label %size, label %range

size:
  %axis_next = add i32 %axis, 1
  %have_at = getelementptr i64, ptr %shape, i32 %axis
  %have = load i64, ptr %have_at
  %want_at = getelementptr i64, ptr %want_shape, i32 %axis
  %want = load i64, ptr %want_at
  %same_size = icmp eq i64 %have, %want
  br i1 %same_size, label %next_axis, label %no

range:
  %itemsize_at = getelementptr i8, ptr %spec, i64 $out_itemsize
  %itemsize = load i64, ptr %itemsize_at
  %bytes = call i64 @byte_size(ptr %array, i64 %itemsize)
  %start_at = getelementptr i8, ptr %array, i64 $ARRAY_DATA
  %start = load i64, ptr %start_at
  %end = add i64 %start, %bytes
  %count_at = getelementptr i8, ptr %record, i64 $record_argument_count
  %count = load i64, ptr %count_at
  %specs_at = getelementptr i8, ptr %record, i64 $record_arguments
  %specs = load ptr, ptr %specs_at
  br label %next

next:
  %i = phi i64 [ 0, %range ], [ %i_next, %argument ], [ %i_next, %layout ], [ %i_next, %compare ]
  %more = icmp slt i64 %i, %count
  br i1 %more, label %argument, label %yes

argument:
  %i_next = add i64 %i, 1
  %spec_offset = mul i64 %i, $arg_bytes
  %argument_spec = getelementptr i8, ptr %specs, i64 %spec_offset
  %kind_at = getelementptr i8, ptr %argument_spec, i64 $arg_kind
  %kind = load i32, ptr %kind_at
  %is_argument_array = icmp eq i32 %kind, $ARRAY
  br i1 %is_argument_array, label %layout, label %next

layout:
  %argument_at = getelementptr ptr, ptr %arguments, i64 %i
  %other = load ptr, ptr %argument_at
  %is_apart = call i1 @is_apart(ptr %other, ptr %argument_spec)
  br i1 %is_apart, label %next, label %compare

compare:
  %other_itemsize_at = getelementptr i8, ptr %argument_spec, i64 $arg_itemsize
  %other_itemsize = load i64, ptr %other_itemsize_at
  %other_bytes = call i64 @byte_size(ptr %other, i64 %other_itemsize)
  %other_start_at = getelementptr i8, ptr %other, i64 $ARRAY_DATA
  %other_start = load i64, ptr %other_start_at
  %other_end = add i64 %other_start, %other_bytes
  %before = icmp ule i64 %end, %other_start
  %after = icmp ule i64 %other_end, %start
  %apart = or i1 %before, %after
  br i1 %apart, label %next, label %no

yes:
  ret i1 true
no:
  ret i1 false
}

; Whether an array that fits must be copied to lie as its kernel expects.
define internal i1 @is_apart(ptr %array, ptr %spec) nounwind alwaysinline {
  %flags_at = getelementptr i8, ptr %array, i64 $ARRAY_FLAGS
  %flags = load i32, ptr %flags_at
  %want_flags_at = getelementptr i8, ptr %spec, i64 $arg_flags
  %want_flags = load i32, ptr %want_flags_at
  %set_flags = and i32 %flags, %want_flags
  %apart = icmp ne i32 %set_flags, %want_flags
  ret i1 %apart
}

define internal i1 @record_fits(
    ptr %record, ptr %arguments, i64 %given, ptr %out, ptr %overflow, ptr %apart) nounwind {
  %count_at = getelementptr i8, ptr %record, i64 $record_argument_count
  %count = load i64, ptr %count_at
  %same_count = icmp eq i64 %given, %count
  br i1 %same_count, label %check_busy, label %no

check_busy:
  %busy = load i64, ptr %record
  %epoch = load i64, ptr @tw_epoch
  %is_busy = icmp eq i64 %busy, %epoch
  br i1 %is_busy, label %no, label %start

start:
  store i64 0, ptr %apart
  %specs_at = getelementptr i8, ptr %record, i64 $record_arguments
  %specs = load ptr, ptr %specs_at
  %symbols_at = getelementptr i8, ptr %record, i64 $record_symbols
  %symbols = load ptr, ptr %symbols_at
  %flags_at = getelementptr i8, ptr %record, i64 $record_flags
  %flags = load i64, ptr %flags_at
  br label %next

next:
  %i = phi i64 [ 0, %start ], [ %i_next, %argument ]
  %more = icmp slt i64 %i, %count
  br i1 %more, label %argument, label %check_guards

argument:
  %i_next = add i64 %i, 1
  %argument_at = getelementptr ptr, ptr %arguments, i64 %i
  %value = load ptr, ptr %argument_at
  %offset = mul i64 %i, $arg_bytes
  %spec = getelementptr i8, ptr %specs, i64 %offset
  %fits = call i1 @argument_fits(
      ptr %value, ptr %spec, ptr %symbols, ptr %overflow, ptr %apart)
  br i1 %fits, label %next, label %no

check_guards:
  %guarded = call i1 @guards_hold(ptr %record)
  br i1 %guarded, label %check_symbols, label %no

check_symbols:
  %least_count_at = getelementptr i8, ptr %record, i64 $record_least_count
  %least_count = load i64, ptr %least_count_at
  %least_at = getelementptr i8, ptr %record, i64 $record_least
  %least = load ptr, ptr %least_at
  br label %next_symbol

next_symbol:
  %k = phi i64 [ 0, %check_symbols ], [ %k_next, %symbol ]
  %more_symbols = icmp slt i64 %k, %least_count
  br i1 %more_symbols, label %symbol, label %check_open

symbol:
  %k_next = add i64 %k, 1
  %bound_at = getelementptr i64, ptr %symbols, i64 %k
  %bound = load i64, ptr %bound_at
  %smallest_at = getelementptr i64, ptr %least, i64 %k
  %smallest = load i64, ptr %smallest_at
  %enough = icmp sge i64 %bound, %smallest
  br i1 %enough, label %next_symbol, label %no

check_open:
  %open_flag = and i64 %flags, $OPEN_OUTPUTS
  %is_open = icmp ne i64 %open_flag, 0
  br i1 %is_open, label %size_outputs, label %check_out

size_outputs:
  %possible = call i1 @size_outputs(ptr %record, ptr %symbols)
  br i1 %possible, label %check_out, label %no

check_out:
  %has_out = icmp ne ptr %out, null
  br i1 %has_out, label %may_take, label %yes

may_take:
  %takes_flag = and i64 %flags, $TAKES_OUT
  %takes = icmp ne i64 %takes_flag, 0
  br i1 %takes, label %check_given, label %no

check_given:
  %out_fits = call i1 @out_fits(ptr %record, ptr %arguments, ptr %out)
  ret i1 %out_fits

yes:
  ret i1 true
no:
  ret i1 false
}

define internal i1 @size_outputs(ptr %record, ptr %symbols) nounwind {
  %count_at = getelementptr i8, ptr %record, i64 $record_output_count
  %count = load i64, ptr %count_at
  %outputs_at = getelementptr i8, ptr %record, i64 $record_outputs
  %outputs = load ptr, ptr %outputs_at
  br label %next

next:
  %i = phi i64 [ 0, %0 ], [ %i_next, %output ]
  %more = icmp slt i64 %i, %count
  br i1 %more, label %output, label %yes

output:
  %i_next = add i64 %i, 1
  %offset = mul i64 %i, $out_bytes
  %spec = getelementptr i8, ptr %outputs, i64 %offset
  %possible = call i1 @size_output(ptr %spec, ptr %symbols)
  br i1 %possible, label %next, label %no

yes:
  ret i1 true
no:
  ret i1 false
}

; The owner is held for the whole call: other threads run while the GIL is released, and may drop
; the specialisation.
define internal i1 @make_outputs(ptr %record, ptr %results) nounwind {
  %count_at = getelementptr i8, ptr %record, i64 $record_output_count
  %count = load i64, ptr %count_at
  %outputs_at = getelementptr i8, ptr %record, i64 $record_outputs
  %outputs = load ptr, ptr %outputs_at
  br label %next

next:
  %i = phi i64 [ 0, %0 ], [ %i_next, %keep ]
  %more = icmp slt i64 %i, %count
  br i1 %more, label %output, label %yes

output:
  %i_next = add i64 %i, 1
  %offset = mul i64 %i, $out_bytes
  %spec = getelementptr i8, ptr %outputs, i64 %offset
  %dtype_at = getelementptr i8, ptr %spec, i64 $out_dtype
  %dtype = load ptr, ptr %dtype_at
  %ndim_at = getelementptr i8, ptr %spec, i64 $out_ndim
  %ndim = load i32, ptr %ndim_at
  %shape_at = getelementptr i8, ptr %spec, i64 $out_shape
  %shape = load ptr, ptr %shape_at
  call void @Py_IncRef(ptr %dtype)  ; the next call takes this reference over
  %array = call ptr @PyArray_NewFromDescr(
      ptr @ndarray_type, ptr %dtype, i32 %ndim, ptr %shape, ptr null, ptr null, i32 0, ptr null)
  %failed = icmp eq ptr %array, null
  br i1 %failed, label %undo, label %keep

keep:
  %result_at = getelementptr ptr, ptr %results, i64 %i
  store ptr %array, ptr %result_at
  call void @store_data(ptr %spec, ptr %array)
  br label %next

undo:
  call void @drop(ptr %results, i64 %i)
  ret i1 false
yes:
  ret i1 true
}

define internal void @store_data(ptr %spec, ptr %array) nounwind {
  %data_at = getelementptr i8, ptr %array, i64 $ARRAY_DATA
  %data = load ptr, ptr %data_at
  %pointer_at = getelementptr i8, ptr %spec, i64 $out_pointer
  %pointer = load ptr, ptr %pointer_at
  store ptr %data, ptr %pointer
  ret void
}

define internal void @drop(ptr %objects, i64 %count) nounwind {
  br label %next
next:
  %i = phi i64 [ 0, %0 ], [ %i_next, %one ]
  %more = icmp slt i64 %i, %count
  br i1 %more, label %one, label %done
one:
  %i_next = add i64 %i, 1
  %object_at = getelementptr ptr, ptr %objects, i64 %i
  %object = load ptr, ptr %object_at
  call void @Py_DecRef(ptr %object)
  br label %next
done:
  ret void
}

define internal i32 @enter(ptr %record) nounwind {
  %entry_at = getelementptr i8, ptr %record, i64 $record_entry
  %entry = load ptr, ptr %entry_at
  %runtime_at = getelementptr i8, ptr %record, i64 $record_runtime
  %runtime = load ptr, ptr %runtime_at
  %pointers_at = getelementptr i8, ptr %record, i64 $record_pointers
  %pointers = load ptr, ptr %pointers_at
  %symbols_at = getelementptr i8, ptr %record, i64 $record_symbols
  %symbols = load ptr, ptr %symbols_at
  %workspace_at = getelementptr i8, ptr %record, i64 $record_workspace
  %workspace = load ptr, ptr %workspace_at
  %flags_at = getelementptr i8, ptr %record, i64 $record_flags
  %flags = load i64, ptr %flags_at
  %before = load i64, ptr %record
  %epoch = load i64, ptr @tw_epoch
  store i64 %epoch, ptr %record
  %release_flag = and i64 %flags, $RELEASES_GIL
  %keep_gil = icmp eq i64 %release_flag, 0
  br i1 %keep_gil, label %short, label %long

short:  ; it may run signal handlers all the same, and let other threads run (poll.ll)
  %status = call i32 %entry(ptr %runtime, ptr %pointers, ptr %symbols, ptr %workspace)
  store i64 %before, ptr %record  ; @run_copied still has it
  ret i32 %status

long:
  %thread = call ptr @PyEval_SaveThread()
  %long_status = call i32 %entry(ptr %runtime, ptr %pointers, ptr %symbols, ptr %workspace)
  call void @PyEval_RestoreThread(ptr %thread)
  store i64 0, ptr %record
  ret i32 %long_status
}

define internal ptr @pack(ptr %record, ptr %results, ptr %out) nounwind {
  %is_given = icmp ne ptr %out, null
  br i1 %is_given, label %first, label %made

made:
  %outputs_at = getelementptr i8, ptr %record, i64 $record_outputs
  %outputs = load ptr, ptr %outputs_at
  %count_at = getelementptr i8, ptr %record, i64 $record_output_count
  %count = load i64, ptr %count_at
  br label %next

next:
  %i = phi i64 [ 0, %made ], [ %i_next, %one ], [ %i_next, %scalar ]
  %more = icmp slt i64 %i, %count
  br i1 %more, label %one, label %packed

one:
  %i_next = add i64 %i, 1
  %offset = mul i64 %i, $out_bytes
  %spec = getelementptr i8, ptr %outputs, i64 %offset
  %flags_at = getelementptr i8, ptr %spec, i64 $out_flags
  %flags = load i32, ptr %flags_at
  %scalar_flag = and i32 %flags, $SCALAR_RESULT
  %is_scalar = icmp ne i32 %scalar_flag, 0
  br i1 %is_scalar, label %scalar, label %next

scalar:
  %array_at = getelementptr ptr, ptr %results, i64 %i
  %array = load ptr, ptr %array_at
  %value = call ptr @PyArray_Return(ptr %array)  ; takes the array over
  store ptr %value, ptr %array_at
  br label %next

packed:
  %record_flags_at = getelementptr i8, ptr %record, i64 $record_flags
  %record_flags = load i64, ptr %record_flags_at
  %tuple_flag = and i64 %record_flags, $RETURNS_TUPLE
  %is_tuple = icmp ne i64 %tuple_flag, 0
  br i1 %is_tuple, label %tuple, label %first

first:
  %result = load ptr, ptr %results
  ret ptr %result

tuple:
  %made_tuple = call ptr @PyTuple_New(i64 %count)
  %failed = icmp eq ptr %made_tuple, null
  br i1 %failed, label %undo, label %next_item

next_item:
  %k = phi i64 [ 0, %tuple ], [ %k_next, %item ]
  %more_items = icmp slt i64 %k, %count
  br i1 %more_items, label %item, label %done

item:
  %k_next = add i64 %k, 1
  %item_at = getelementptr ptr, ptr %results, i64 %k
  %element = load ptr, ptr %item_at
  %set = call i32 @PyTuple_SetItem(ptr %made_tuple, i64 %k, ptr %element)
  br label %next_item

done:
  %on_result_at = getelementptr i8, ptr %record, i64 $record_on_result
  %on_result = load ptr, ptr %on_result_at
  %is_result = icmp eq ptr %on_result, null
  br i1 %is_result, label %return, label %convert

return:
  ret ptr %made_tuple

convert:  ; Python code may run from here on, and other threads with it: nothing of the record is read
  store ptr %made_tuple, ptr %results
  %converted = call ptr @PyObject_Vectorcall(ptr %on_result, ptr %results, i64 1, ptr null)
  call void @Py_DecRef(ptr %made_tuple)
  ret ptr %converted

undo:
  call void @drop(ptr %results, i64 %count)
  ret ptr null
}

define internal ptr @report(ptr %record, i32 %status, ptr %arguments, i64 %given) nounwind {
  %on_error_at = getelementptr i8, ptr %record, i64 $record_on_error
  %on_error = load ptr, ptr %on_error_at
  %wide = sext i32 %status to i64
  %code = call ptr @PyLong_FromLong(i64 %wide)
  %failed = icmp eq ptr %code, null
  br i1 %failed, label %give_up, label %copy

give_up:
  ret ptr null

copy:
  %total = add i64 %given, 1
  %copies = alloca ptr, i64 %total
  store ptr %code, ptr %copies
  %rest = getelementptr ptr, ptr %copies, i64 1
  %bytes = mul i64 %given, 8
  call void @llvm.memcpy.p0.p0.i64(ptr %rest, ptr %arguments, i64 %bytes, i1 false)
  %result = call ptr @PyObject_Vectorcall(ptr %on_error, ptr %copies, i64 %total, ptr null)
  call void @Py_DecRef(ptr %code)
  ret ptr %result
}

declare void @llvm.memcpy.p0.p0.i64(ptr, ptr, i64, i1)

define internal ptr @run(ptr %record, ptr %arguments, i64 %given, ptr %out) nounwind {
  %results = alloca [$max_outputs x ptr]
  %owner_at = getelementptr i8, ptr %record, i64 $record_owner
  %owner = load ptr, ptr %owner_at
  call void @Py_IncRef(ptr %owner)
  %is_given = icmp ne ptr %out, null
  br i1 %is_given, label %take, label %make

take:
  %outputs_at = getelementptr i8, ptr %record, i64 $record_outputs
  %spec = load ptr, ptr %outputs_at
  call void @Py_IncRef(ptr %out)
  store ptr %out, ptr %results
  call void @store_data(ptr %spec, ptr %out)
  br label %enter

make:
  %made = call i1 @make_outputs(ptr %record, ptr %results)
  br i1 %made, label %enter, label %leave

enter:
  %status = call i32 @enter(ptr %record)
  %good = icmp eq i32 %status, 0
  br i1 %good, label %pack, label %fail

pack:
  %packed = call ptr @pack(ptr %record, ptr %results, ptr %out)
  br label %leave

fail:
  %count_at = getelementptr i8, ptr %record, i64 $record_output_count
  %count = load i64, ptr %count_at
  call void @drop(ptr %results, i64 %count)
  %reported = call ptr @report(ptr %record, i32 %status, ptr %arguments, i64 %given)
  br label %leave

leave:
  %result = phi ptr [ null, %make ], [ %packed, %pack ], [ %reported, %fail ]
  call void @Py_DecRef(ptr %owner)
  ret ptr %result
}

; As @run, after copies of the %count arguments that lie apart; false in %done if there is no memory
; for them. Copying may let other threads run, so the record is busy meanwhile.
define internal ptr @run_copied(
    ptr %record, ptr %arguments, i64 %given, ptr %out, i64 %count, ptr %done) nounwind {
  %copies = alloca ptr, i64 %count
  %owner_at = getelementptr i8, ptr %record, i64 $record_owner
  %owner = load ptr, ptr %owner_at
  call void @Py_IncRef(ptr %owner)
  %epoch = load i64, ptr @tw_epoch
  store i64 %epoch, ptr %record
  %specs_at = getelementptr i8, ptr %record, i64 $record_arguments
  %specs = load ptr, ptr %specs_at
  br label %next

next:
  %i = phi i64 [ 0, %0 ], [ %i_next, %argument ], [ %i_next, %layout ], [ %i_next, %keep ]
  %made = phi i64 [ 0, %0 ], [ %made, %argument ], [ %made, %layout ], [ %made_next, %keep ]
  %more = icmp slt i64 %i, %given
  br i1 %more, label %argument, label %ready

argument:
  %i_next = add i64 %i, 1
  %offset = mul i64 %i, $arg_bytes
  %spec = getelementptr i8, ptr %specs, i64 %offset
  %kind_at = getelementptr i8, ptr %spec, i64 $arg_kind
  %kind = load i32, ptr %kind_at
  %is_array = icmp eq i32 %kind, $ARRAY
  br i1 %is_array, label %layout, label %next

layout:
  %argument_at = getelementptr ptr, ptr %arguments, i64 %i
  %value = load ptr, ptr %argument_at
  %is_apart = call i1 @is_apart(ptr %value, ptr %spec)
  br i1 %is_apart, label %copy, label %next

copy:
  %copied = call ptr @PyArray_NewCopy(ptr %value, i32 0)  ; in C order
  %failed = icmp eq ptr %copied, null
  br i1 %failed, label %undo, label %keep

keep:
  %copy_at = getelementptr ptr, ptr %copies, i64 %made
  store ptr %copied, ptr %copy_at
  %made_next = add i64 %made, 1
  call void @store_argument(ptr %spec, ptr %copied)
  br label %next

ready:
  %result = call ptr @run(ptr %record, ptr %arguments, i64 %given, ptr %out)
  br label %leave

undo:
  call void @PyErr_Clear()
  store i1 false, ptr %done
  br label %leave

leave:
  %returned = phi ptr [ %result, %ready ], [ null, %undo ]
  %flags_at = getelementptr i8, ptr %record, i64 $record_flags
  %flags = load i64, ptr %flags_at
  %release_flag = and i64 %flags, $RELEASES_GIL
  %kept_gil = icmp eq i64 %release_flag, 0
  %is_undone = icmp eq ptr %returned, null
  %still_ours = or i1 %kept_gil, %is_undone
  br i1 %still_ours, label %free, label %clean  ; @enter has freed the others

free:
  store i64 0, ptr %record
  br label %clean

clean:
  call void @drop(ptr %copies, i64 %made)
  call void @Py_DecRef(ptr %owner)
  ret ptr %returned
}

define internal void @store_argument(ptr %spec, ptr %array) nounwind {
  %data_at = getelementptr i8, ptr %array, i64 $ARRAY_DATA
  %data = load ptr, ptr %data_at
  %pointer_at = getelementptr i8, ptr %spec, i64 $arg_pointer
  %pointer = load ptr, ptr %pointer_at
  store ptr %data, ptr %pointer
  ret void
}

; Arguments in the order of the parameters from those given by position and by name, and how many they
; are; -1 where one is missing, or is named as no parameter is. What is given as `out` goes to %out_at.
; Names are compared as objects: those in code are interned.
define internal i64 @place_named(
    ptr %call, ptr %arguments, i64 %given, ptr %keywords, ptr %placed, ptr %out_at) nounwind {
  %count_at = getelementptr i8, ptr %call, i64 $call_name_count
  %known_count = load i64, ptr %count_at
  %is_nameless = icmp eq i64 %known_count, 0
  %count = select i1 %is_nameless, i64 %given, i64 %known_count
  %names_at = getelementptr i8, ptr %call, i64 $call_names
  %names = load ptr, ptr %names_at
  %size_at = getelementptr i8, ptr %keywords, i64 $TUPLE_SIZE
  %size = load i64, ptr %size_at
  %items = getelementptr i8, ptr %keywords, i64 $TUPLE_ITEMS
  %few = icmp sle i64 %given, %count
  %fits_in = icmp sle i64 %count, $max_names
  %possible = and i1 %few, %fits_in
  br i1 %possible, label %positional, label %no

positional:
  %given_bytes = mul i64 %given, 8
  call void @llvm.memcpy.p0.p0.i64(ptr %placed, ptr %arguments, i64 %given_bytes, i1 false)
  br label %next

next:
  %k = phi i64 [ 0, %positional ], [ %k_next, %take_out ], [ %k_next, %place ]
  %filled = phi i64 [ %given, %positional ], [ %filled, %take_out ], [ %filled_next, %place ]
  %more = icmp slt i64 %k, %size
  br i1 %more, label %keyword, label %complete

keyword:
  %k_next = add i64 %k, 1
  %item_at = getelementptr ptr, ptr %items, i64 %k
  %name = load ptr, ptr %item_at
  %position = add i64 %given, %k
  %value_at = getelementptr ptr, ptr %arguments, i64 %position
  %value = load ptr, ptr %value_at
  %is_out = icmp eq ptr %name, @out_name
  br i1 %is_out, label %take_out, label %search

take_out:
  store ptr %value, ptr %out_at
  br label %next

search:
  %j = phi i64 [ %given, %keyword ], [ %j_next, %try ]
  %more_names = icmp slt i64 %j, %count
  br i1 %more_names, label %try, label %no

try:
  %j_next = add i64 %j, 1
  %name_at = getelementptr ptr, ptr %names, i64 %j
  %known = load ptr, ptr %name_at
  %same = icmp eq ptr %name, %known
  br i1 %same, label %place, label %search

place:
  %place_at = getelementptr ptr, ptr %placed, i64 %j
  store ptr %value, ptr %place_at
  %filled_next = add i64 %filled, 1
  br label %next

complete:  ; no name occurs twice, so as many as there are parameters are all of them
  %all = icmp eq i64 %filled, %count
  br i1 %all, label %yes, label %no

yes:
  ret i64 %count
no:
  ret i64 -1
}

define ptr @tw_dispatch(ptr %self, ptr %arguments, i64 %nargsf, ptr %keywords) nounwind {
  %overflow = alloca i32
  %apart = alloca i64
  %done = alloca i1
  %named_out = alloca ptr
  %placed = alloca [$max_names x ptr]
  %given = and i64 %nargsf, 9223372036854775807  ; the top bit says that arguments[-1] is free
  %call_at = getelementptr i8, ptr %self, i64 $call_offset
  %call = load ptr, ptr %call_at
  %plain = icmp eq ptr %keywords, null
  br i1 %plain, label %lookup, label %named

named:
  store ptr null, ptr %named_out
  %placed_count = call i64 @place_named(
      ptr %call, ptr %arguments, i64 %given, ptr %keywords, ptr %placed, ptr %named_out)
  %unplaced = icmp slt i64 %placed_count, 0
  br i1 %unplaced, label %slow, label %in_order

in_order:
  %out_value = load ptr, ptr %named_out
  br label %lookup

lookup:
  %out = phi ptr [ null, %0 ], [ %out_value, %in_order ]
  %ordered = phi ptr [ %arguments, %0 ], [ %placed, %in_order ]
  %ordered_count = phi i64 [ %given, %0 ], [ %placed_count, %in_order ]
  %count_at = getelementptr i8, ptr %call, i64 $call_record_count
  %count = load i64, ptr %count_at
  %records = getelementptr i8, ptr %call, i64 $call_records
  br label %next

next:
  %i = phi i64 [ 0, %lookup ], [ %i_next, %try ]
  %more = icmp slt i64 %i, %count
  br i1 %more, label %try, label %slow

try:
  %i_next = add i64 %i, 1
  %record_at = getelementptr ptr, ptr %records, i64 %i
  %record = load ptr, ptr %record_at
  %fits = call i1 @record_fits(
      ptr %record, ptr %ordered, i64 %ordered_count, ptr %out, ptr %overflow, ptr %apart)
  br i1 %fits, label %found, label %next

found:
  %to_copy = load i64, ptr %apart
  %as_it_is = icmp eq i64 %to_copy, 0
  br i1 %as_it_is, label %run, label %copy

run:
  %result = call ptr @run(ptr %record, ptr %ordered, i64 %ordered_count, ptr %out)
  ret ptr %result

copy:
  store i1 true, ptr %done
  %copied_result = call ptr @run_copied(ptr %record, ptr %ordered, i64 %ordered_count, ptr %out,
      i64 %to_copy, ptr %done)
  %is_done = load i1, ptr %done
  br i1 %is_done, label %copied, label %slow

copied:
  ret ptr %copied_result

slow:
  %call_now = load ptr, ptr %call_at  ; another one, if records were installed during copies
  %slow_callable = load ptr, ptr %call_now
  call void @Py_IncRef(ptr %slow_callable)  ; the call may install a record, which drops it
  %slow_result = call ptr @PyObject_Vectorcall(
      ptr %slow_callable, ptr %arguments, i64 %nargsf, ptr %keywords)
  call void @Py_DecRef(ptr %slow_callable)
  ret ptr %slow_result
}
