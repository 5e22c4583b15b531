//! The device: which adapter, its limits, and work streamed through it in chunks.

use crate::{Error, Result};
use std::collections::HashMap;
use std::ops::Range;
use std::sync::mpsc::{Receiver, channel};
use std::sync::{Arc, Mutex};
use wgpu::util::DeviceExt;

/// Invocations in a workgroup, in every kernel.
pub const GROUP: u32 = 64;
/// Units of work in a dispatch at most: a desktop's watchdog kills long ones.
const LONGEST_DISPATCH: usize = 1 << 18;
/// Bytes of one chunk's buffer at most, where the device would allow more.
const LARGEST_BUFFER: u64 = 64 << 20;

/// What a chunk may be at most. Smaller ones change no result.
#[derive(Debug, Clone, Copy)]
pub struct ChunkLimits {
    /// Units of work (fits, dose pairs, plates) in a chunk.
    pub units: usize,
    /// Bytes in each storage buffer.
    pub bytes: u64,
    /// Workgroups along one dimension of a dispatch; more spill into the second.
    pub groups: u32,
}

/// An adapter that could be used.
#[derive(Debug, Clone, serde::Serialize)]
pub struct AdapterSummary {
    /// The card's or renderer's name.
    pub name: String,
    /// `Vulkan`, `Metal`, `Dx12`.
    pub api: String,
    /// Driver and version.
    pub driver: String,
    /// Whether it is software running on the CPU (lavapipe, WARP).
    pub software: bool,
}

/// A kernel's text under a name.
pub struct Kernel {
    /// The key under which its pipeline is kept.
    pub name: String,
    /// Complete WGSL.
    pub source: String,
}

/// One chunk of work: a uniform, input buffers, the length of the output, and how many workgroups.
pub struct Chunk {
    /// The uniform.
    pub config: [u32; 4],
    /// The input buffer.
    pub input: Vec<f32>,
    /// What units share, in a buffer of its own; none where it is empty.
    pub tables: Vec<f32>,
    /// Floats of output.
    pub output: usize,
    /// Workgroups.
    pub groups: u32,
}

/// An open device.
pub struct Device {
    device: wgpu::Device,
    queue: wgpu::Queue,
    /// What it is.
    pub summary: AdapterSummary,
    limits: ChunkLimits,
    pipelines: Mutex<HashMap<String, Arc<wgpu::ComputePipeline>>>,
    failure: Arc<Mutex<Option<String>>>,
}

struct Pending {
    range: Range<usize>,
    readback: wgpu::Buffer,
    submission: wgpu::SubmissionIndex,
    mapped: Receiver<std::result::Result<(), wgpu::BufferAsyncError>>,
}

fn gpu_error(problem: impl std::fmt::Display) -> Error {
    Error::Gpu { problem: problem.to_string(), hint: Some("run with `--backend cpu`".into()) }
}

fn instance() -> wgpu::Instance {
    let mut descriptor = wgpu::InstanceDescriptor::new_without_display_handle();
    descriptor.backends = wgpu::Backends::VULKAN | wgpu::Backends::METAL | wgpu::Backends::DX12;
    wgpu::Instance::new(descriptor)
}

fn summary(info: &wgpu::AdapterInfo) -> AdapterSummary {
    AdapterSummary {
        name: info.name.clone(),
        api: format!("{:?}", info.backend),
        driver: format!("{} {}", info.driver, info.driver_info).trim().to_owned(),
        software: info.device_type == wgpu::DeviceType::Cpu,
    }
}

/// Lower is better: a card of its own, then one on the processor, then virtual ones, software last.
fn preference(kind: wgpu::DeviceType) -> u8 {
    match kind {
        wgpu::DeviceType::DiscreteGpu => 0,
        wgpu::DeviceType::IntegratedGpu => 1,
        wgpu::DeviceType::VirtualGpu => 2,
        wgpu::DeviceType::Other => 3,
        wgpu::DeviceType::Cpu => 4,
    }
}

fn adapters() -> Vec<wgpu::Adapter> {
    let mut adapters = pollster::block_on(instance().enumerate_adapters(wgpu::Backends::all()));
    adapters.retain(|a| a.get_downlevel_capabilities().flags.contains(wgpu::DownlevelFlags::COMPUTE_SHADERS));
    adapters.sort_by_key(|a| preference(a.get_info().device_type));
    adapters
}

/// Every adapter with compute shaders, the one that would be taken first.
pub fn list() -> Vec<AdapterSummary> {
    adapters().iter().map(|a| summary(&a.get_info())).collect()
}

impl Device {
    /// Opens the best adapter.
    pub fn open() -> Result<Self> {
        let adapter = adapters().into_iter().next().ok_or_else(|| Error::Gpu {
            problem: "no adapter with compute shaders was found".into(),
            hint: Some(
                "install a Vulkan driver (Mesa's lavapipe runs without a card), or run with `--backend cpu`".into(),
            ),
        })?;
        let available = adapter.limits();
        let descriptor = wgpu::DeviceDescriptor { required_limits: available.clone(), ..Default::default() };
        let (device, queue) = pollster::block_on(adapter.request_device(&descriptor)).map_err(gpu_error)?;
        let failure = Arc::new(Mutex::new(None));
        let noted = Arc::clone(&failure);
        // Without a handler wgpu panics; with one the next result is refused.
        device.on_uncaptured_error(Arc::new(move |error: wgpu::Error| {
            if let Ok(mut slot) = noted.lock() {
                slot.get_or_insert_with(|| error.to_string());
            }
        }));
        let limits = ChunkLimits {
            units: LONGEST_DISPATCH,
            bytes: LARGEST_BUFFER.min(available.max_storage_buffer_binding_size).min(available.max_buffer_size),
            groups: available.max_compute_workgroups_per_dimension,
        };
        Ok(Self { device, queue, summary: summary(&adapter.get_info()), limits, pipelines: Mutex::default(), failure })
    }

    /// The same device with tighter limits, for proving that chunks change nothing.
    pub fn with_limits(mut self, limits: ChunkLimits) -> Self {
        self.limits = ChunkLimits {
            units: limits.units.clamp(1, self.limits.units),
            bytes: limits.bytes.min(self.limits.bytes),
            groups: limits.groups.clamp(1, self.limits.groups),
        };
        self
    }

    /// How many units of `bytes` (the larger of a unit's input and output) go into one chunk.
    pub fn units_per_chunk(&self, bytes: usize) -> usize {
        ((self.limits.bytes / bytes.max(1) as u64) as usize).clamp(1, self.limits.units)
    }

    /// Floats in one storage buffer of a chunk at most.
    pub fn floats_per_chunk(&self) -> usize {
        (self.limits.bytes / size_of::<f32>() as u64) as usize
    }

    fn pipeline(&self, kernel: &Kernel) -> Result<Arc<wgpu::ComputePipeline>> {
        let mut pipelines = self.pipelines.lock().map_err(gpu_error)?;
        if let Some(pipeline) = pipelines.get(&kernel.name) {
            return Ok(Arc::clone(pipeline));
        }
        let scope = self.device.push_error_scope(wgpu::ErrorFilter::Validation);
        let module = self.device.create_shader_module(wgpu::ShaderModuleDescriptor {
            label: Some(&kernel.name),
            source: wgpu::ShaderSource::Wgsl(kernel.source.as_str().into()),
        });
        let pipeline = self.device.create_compute_pipeline(&wgpu::ComputePipelineDescriptor {
            label: Some(&kernel.name),
            layout: None,
            module: &module,
            entry_point: Some("main"),
            compilation_options: Default::default(),
            cache: None,
        });
        if let Some(error) = pollster::block_on(scope.pop()) {
            return Err(gpu_error(format!("kernel `{}` was refused: {error}", kernel.name)));
        }
        let pipeline = Arc::new(pipeline);
        pipelines.insert(kernel.name.clone(), Arc::clone(&pipeline));
        Ok(pipeline)
    }

    /// Runs `kernel` over `ranges`: while the device computes one chunk the next is packed and the last unpacked.
    pub fn stream(
        &self,
        kernel: &Kernel,
        ranges: impl IntoIterator<Item = Range<usize>>,
        pack: impl Fn(&Range<usize>) -> Chunk,
        mut unpack: impl FnMut(&Range<usize>, &[f32]),
    ) -> Result<()> {
        let pipeline = self.pipeline(kernel)?;
        let mut pending: Option<Pending> = None;
        for range in ranges {
            let submitted = self.submit(&pipeline, range.clone(), pack(&range))?;
            if let Some(before) = pending.replace(submitted) {
                self.finish(before, &mut unpack)?;
            }
        }
        pending.map_or(Ok(()), |last| self.finish(last, &mut unpack))
    }

    fn submit(&self, pipeline: &wgpu::ComputePipeline, range: Range<usize>, chunk: Chunk) -> Result<Pending> {
        let buffer = |contents: &[u8], usage| {
            self.device.create_buffer_init(&wgpu::util::BufferInitDescriptor { label: None, contents, usage })
        };
        let size = (chunk.output.max(1) * size_of::<f32>()) as u64;
        let empty = |usage| {
            self.device.create_buffer(&wgpu::BufferDescriptor { label: None, size, usage, mapped_at_creation: false })
        };
        let config = buffer(bytemuck::cast_slice(&chunk.config), wgpu::BufferUsages::UNIFORM);
        let input = buffer(bytemuck::cast_slice(&chunk.input), wgpu::BufferUsages::STORAGE);
        let output = empty(wgpu::BufferUsages::STORAGE | wgpu::BufferUsages::COPY_SRC);
        let readback = empty(wgpu::BufferUsages::MAP_READ | wgpu::BufferUsages::COPY_DST);
        let tables = (!chunk.tables.is_empty())
            .then(|| buffer(bytemuck::cast_slice(&chunk.tables), wgpu::BufferUsages::STORAGE));
        let bound = [Some(&config), Some(&input), Some(&output), tables.as_ref()];
        let entries: Vec<wgpu::BindGroupEntry<'_>> = (bound.into_iter().flatten().zip(0..))
            .map(|(buffer, binding)| wgpu::BindGroupEntry { binding, resource: buffer.as_entire_binding() })
            .collect();
        let group = self.device.create_bind_group(&wgpu::BindGroupDescriptor {
            label: None,
            layout: &pipeline.get_bind_group_layout(0),
            entries: &entries,
        });
        let mut encoder = self.device.create_command_encoder(&Default::default());
        {
            let mut pass = encoder.begin_compute_pass(&Default::default());
            pass.set_pipeline(pipeline);
            pass.set_bind_group(0, &group, &[]);
            let wide = chunk.groups.min(self.limits.groups).max(1);
            pass.dispatch_workgroups(wide, chunk.groups.div_ceil(wide), 1);
        }
        encoder.copy_buffer_to_buffer(&output, 0, &readback, 0, size);
        let submission = self.queue.submit([encoder.finish()]);
        let (send, mapped) = channel();
        readback.slice(..).map_async(wgpu::MapMode::Read, move |result| {
            // The receiver is gone only when the result is no longer wanted.
            let _ = send.send(result);
        });
        Ok(Pending { range, readback, submission, mapped })
    }

    fn finish(&self, pending: Pending, unpack: &mut impl FnMut(&Range<usize>, &[f32])) -> Result<()> {
        let wait = wgpu::PollType::Wait { submission_index: Some(pending.submission), timeout: None };
        self.device.poll(wait).map_err(gpu_error)?;
        if let Some(failure) = self.failure.lock().map_err(gpu_error)?.take() {
            return Err(gpu_error(failure));
        }
        pending.mapped.recv().map_err(gpu_error)?.map_err(gpu_error)?;
        let view = pending.readback.slice(..).get_mapped_range().map_err(gpu_error)?;
        unpack(&pending.range, bytemuck::cast_slice(&view));
        Ok(())
    }
}
